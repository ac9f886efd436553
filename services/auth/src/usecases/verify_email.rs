use access_token::Caller;
use event_bus::outbox;
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use typed_id::UserId;

use super::events::{self, MailError};
use crate::app::Auth;
use crate::domain::{email, secret};
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::users::{self, Changes, User};

/// Verifies an address with the secret of a mail.
pub async fn verify_email(app: &Auth, token: String) -> Result<(), Problem> {
    let now = app.clock.now();
    let first_admin = email::key(&app.settings.bootstrap_admin_email);
    let verified = app.db.write(move |mut tx| async move {
        let hash = secret::hash(&token);
        let Some(user) = one_time_tokens::take(&mut tx, &hash, Purpose::VerifyEmail, now).await? else {
            return tx.rollback(false).await;
        };
        mark_verified(&mut tx, user, &first_admin).await?;
        tx.commit(true).await
    });
    let verified: Result<bool, WriteError> = verified.await;
    if verified? {
        Ok(())
    } else {
        Err(Problem::new(&codes::INVALID_ONE_TIME_TOKEN))
    }
}

/// The address is proven; the first admin becomes one with it.
pub(super) async fn mark_verified(
    tx: &mut WriteTx,
    user: UserId,
    first_admin: &str,
) -> Result<(), WriteError> {
    let now = tx.clock().now();
    let Some(known) = users::by_id(&mut **tx, user).await? else {
        return Ok(());
    };
    let becomes_admin =
        !first_admin.is_empty() && email::key(&known.email) == first_admin && known.role != "admin";
    if known.email_verified_at.is_some() && !becomes_admin {
        return Ok(());
    }
    let role = becomes_admin.then(|| "admin".to_owned());
    let changes = Changes {
        verified_at: Some(now),
        role,
        ..Changes::default()
    };
    if let Some(user) = users::update(tx, user, &changes, now).await? {
        outbox::append(tx, &events::updated(&user)).await?;
    }
    Ok(())
}

/// Sends the verification mail again, unless there is nothing to verify.
pub async fn resend_verification(app: &Auth, caller: &Caller) -> Result<(), Problem> {
    let user: User = super::user(app, caller.user()?.id).await?;
    if user.email_verified_at.is_some() {
        return Ok(());
    }
    let sent = app.db.write(move |mut tx| async move {
        events::request_verification(&mut tx, &user).await?;
        Ok::<_, MailError>(tx.commit(()).await?)
    });
    Ok(sent.await?)
}
