use access_token::Revocation;
use event_bus::outbox;
use postgres::{WriteError, violated_constraint};
use problem::{Problem, codes};

use super::audit::{self, Act, Actor};
use super::events::{self, SecurityChange};
use super::revoke;
use super::verify_email::mark_verified;
use crate::app::Auth;
use crate::domain::secret;
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::users::{self, Changes};

#[derive(Debug, thiserror::Error)]
enum ConfirmError {
    #[error("the link is not good")]
    InvalidToken,
    #[error("somebody else has the address by now")]
    EmailTaken,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for ConfirmError {
    fn from(fault: sqlx::Error) -> Self {
        match violated_constraint(&fault) {
            Some("idx_users_email") => Self::EmailTaken,
            _ => Self::Write(fault.into()),
        }
    }
}

impl From<ConfirmError> for Problem {
    fn from(fault: ConfirmError) -> Self {
        match fault {
            ConfirmError::InvalidToken => Self::new(&codes::INVALID_ONE_TIME_TOKEN),
            // Who follows the link reads the mail of that address: they may know.
            ConfirmError::EmailTaken => Self::new(&codes::EMAIL_TAKEN),
            ConfirmError::Write(fault) => fault.into(),
        }
    }
}

/// Changes the address to the one that a link was sent to. Following the link again is no fault. Sessions go on: how one signs in has
/// become no weaker, and who asked for it has shown the password.
pub async fn confirm_email(app: &Auth, token: String) -> Result<(), Problem> {
    let ttl = app.settings.access.ttl();
    let first_admin = app.settings.bootstrap_admin_email.clone();
    let confirmed = app.db.write(move |mut tx| async move {
        let (hash, now) = (secret::hash(&token), tx.clock().now());
        let wanted = one_time_tokens::email_change(&mut *tx, &hash, now).await?;
        let wanted = wanted.ok_or(ConfirmError::InvalidToken)?;
        // The account's lock first, as everywhere.
        let before = users::lock(&mut tx, wanted.user).await?;
        let before = before
            .filter(|user| user.is_active)
            .ok_or(ConfirmError::InvalidToken)?;
        let (id, now) = (before.id, tx.clock().now());
        let taken = one_time_tokens::take(&mut tx, &hash, Purpose::ChangeEmail, now).await?;
        if taken.is_none() {
            if before.email == wanted.email {
                return Ok(tx.rollback(Vec::new()).await?);
            }
            return Err(ConfirmError::InvalidToken);
        }
        let changes = Changes {
            email: Some(wanted.email),
            verified_at: Some(now),
            ..Changes::default()
        };
        let changed = users::update(&mut tx, id, &changes, now).await?;
        let changed = changed.ok_or(ConfirmError::InvalidToken)?;
        // What was sent to the address of before opens nothing any more.
        one_time_tokens::void_all(&mut tx, id, now).await?;
        outbox::append(&mut tx, &events::updated(&changed)).await?;
        let act = Act::on_user("user.email_changed", id);
        audit::record(&mut *tx, Actor::user(id), act, now).await?;
        events::tell_of_change(&mut tx, before, SecurityChange::Email).await?;
        let mut entries: Vec<Revocation> = Vec::new();
        if mark_verified(&mut tx, id, &first_admin).await? {
            entries = revoke::of_users(&[id], now, ttl);
            revoke::record(&mut tx, &entries).await?;
        }
        Ok(tx.commit(entries).await?)
    });
    revoke::announce(app, &confirmed.await?).await;
    Ok(())
}
