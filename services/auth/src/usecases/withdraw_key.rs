use access_token::{Revocation, RevocationKind};
use postgres::WriteError;
use serde_json::json;
use time::Duration;

use super::audit::{self, Act, Actor};
use super::revoke;
use crate::app::Auth;
use crate::keys::KeyRingError;
use crate::storage::keys;

/// Whoever has the key signs tokens of any length. Verifiers ask for the keys every minute and know this one no longer by then;
/// the entry is for one that cannot ask for so long.
const REMEMBERED: Duration = Duration::days(30);

#[derive(Debug, thiserror::Error)]
pub enum WithdrawKeyError {
    #[error("there is no such key in use")]
    Unknown,
    #[error(transparent)]
    Key(#[from] KeyRingError),
    #[error("the database could not be written")]
    Write(#[from] WriteError),
}

/// Takes a key out of use at once. Another signs from now on: its successor where that is published already, or a new one.
pub async fn withdraw_key(app: &Auth, kid: &str) -> Result<(), WithdrawKeyError> {
    let (now, kid, made) = (app.clock.now(), kid.to_owned(), app.keys.make()?);
    let entry = Revocation {
        kind: RevocationKind::Key,
        subject: kid.clone(),
        revoked_at: now,
        expires_at: now + REMEMBERED,
    };
    let entries = [entry];
    let written: Result<bool, WriteError> = app
        .db
        .write({
            let entries = entries.clone();
            move |mut tx| async move {
                keys::lock(&mut tx).await?;
                if !keys::retire(&mut tx, &kid, now).await? {
                    return tx.rollback(false).await;
                }
                let left = keys::live(&mut *tx, now).await?;
                match left.first() {
                    Some(first) if first.signs_from <= now => {}
                    Some(first) => keys::sign_from(&mut tx, &first.kid, now).await?,
                    None => keys::insert(&mut tx, &made, now).await?,
                }
                revoke::record(&mut tx, &entries).await?;
                let act = Act {
                    action: "key.withdrawn",
                    target_kind: "signing_key",
                    target_id: kid,
                    details: json!({}),
                };
                audit::record(&mut *tx, Actor::NOBODY, act, now).await?;
                tx.commit(true).await
            }
        })
        .await;
    if !written? {
        return Err(WithdrawKeyError::Unknown);
    }
    revoke::announce(app, &entries).await;
    Ok(())
}
