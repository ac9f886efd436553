use access_token::Caller;
use event_bus::outbox;
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use typed_id::UserId;

use super::events::{self, MailError};
use super::revoke;
use crate::app::Auth;
use crate::domain::{email, secret};
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::users::{self, Changes, User};

/// Verifies an address with the secret of a mail. Following the link again is no fault: mail programs and people do.
pub async fn verify_email(app: &Auth, token: String) -> Result<(), Problem> {
    let ttl = app.settings.access.ttl();
    let first_admin = app.settings.bootstrap_admin_email.clone();
    let verified = app.db.write(move |mut tx| async move {
        let (hash, now) = (secret::hash(&token), tx.clock().now());
        let owner = one_time_tokens::owner(&mut *tx, &hash, Purpose::VerifyEmail, now).await?;
        let Some(user) = owner else {
            return tx.rollback(None).await;
        };
        let taken = one_time_tokens::take(&mut tx, &hash, Purpose::VerifyEmail, now).await?;
        if taken.is_none() {
            let known = users::by_id(&mut *tx, user).await?;
            let is_verified = known.is_some_and(|user| user.email_verified_at.is_some());
            return tx.rollback(is_verified.then(Vec::new)).await;
        }
        let mut entries = Vec::new();
        if mark_verified(&mut tx, user, &first_admin).await? {
            entries = revoke::of_users(&[user], tx.clock().now(), ttl);
            revoke::record(&mut tx, &entries).await?;
        }
        tx.commit(Some(entries)).await
    });
    let entries: Result<_, WriteError> = verified.await;
    match entries? {
        Some(entries) => {
            revoke::announce(app, &entries).await;
            Ok(())
        }
        None => Err(Problem::new(&codes::INVALID_ONE_TIME_TOKEN)),
    }
}

/// The address is proven; the first admin becomes one with it. Says whether the role changed.
pub(super) async fn mark_verified(
    tx: &mut WriteTx,
    user: UserId,
    first_admin: &str,
) -> Result<bool, WriteError> {
    let Some(known) = users::lock(tx, user).await? else {
        return Ok(false);
    };
    let becomes_admin = known.role != "admin" && is_first_admin(&known, first_admin);
    if known.email_verified_at.is_some() && !becomes_admin {
        return Ok(false);
    }
    let now = tx.clock().now();
    let changes = Changes {
        verified_at: Some(now),
        role: becomes_admin.then(|| "admin".to_owned()),
        ..Changes::default()
    };
    if let Some(user) = users::update(tx, user, &changes, now).await? {
        outbox::append(tx, &events::updated(&user)).await?;
    }
    Ok(becomes_admin)
}

/// By the very address, not by its key: `admın@` is another mailbox than `admin@`.
fn is_first_admin(user: &User, first_admin: &str) -> bool {
    !first_admin.trim().is_empty() && user.email.trim().eq_ignore_ascii_case(first_admin.trim())
}

/// At start: makes the account of the configured address an admin if it is verified already.
pub async fn promote_first_admin(app: &Auth) -> Result<(), Problem> {
    let first_admin = app.settings.bootstrap_admin_email.clone();
    let user = users::by_email(app.db.primary(), &email::key(&first_admin))
        .await
        .map_err(postgres::problem_of)?;
    let Some(user) = user.filter(|user| user.email_verified_at.is_some() && user.role != "admin") else {
        return Ok(());
    };
    let (id, ttl) = (user.id, app.settings.access.ttl());
    let promoted = app.db.write(move |mut tx| async move {
        let mut entries = Vec::new();
        if mark_verified(&mut tx, id, &first_admin).await? {
            entries = revoke::of_users(&[id], tx.clock().now(), ttl);
            revoke::record(&mut tx, &entries).await?;
        }
        tx.commit(entries).await
    });
    let entries: Result<_, WriteError> = promoted.await;
    revoke::announce(app, &entries?).await;
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
