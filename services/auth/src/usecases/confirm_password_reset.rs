use problem::{Problem, codes};

use super::audit::{self, Act, Actor};
use super::events::{self, SecurityChange};
use super::revoke;
use super::verify_email::mark_verified;
use crate::app::Auth;
use crate::domain::{password, secret};
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::{passwords, sessions, totp, users};

/// Sets a password with the secret of a mail, which proves the address too. All sessions end.
pub async fn confirm_password_reset(app: &Auth, token: String, new_password: &str) -> Result<(), Problem> {
    password::check("new_password", new_password, "")?;
    let hash = app.passwords.hash(new_password).await?;
    let ttl = app.settings.access.ttl();
    let first_admin = app.settings.bootstrap_admin_email.clone();
    let done = app.db.write(move |mut tx| async move {
        let (token, now) = (secret::hash(&token), tx.clock().now());
        let owner = one_time_tokens::owner(&mut *tx, &token, Purpose::ResetPassword, now).await?;
        let Some(user) = owner else {
            return tx.rollback(None).await;
        };
        // The account's lock first, as everywhere: a sign-in with the old password is over before this, or fails after it.
        users::lock(&mut tx, user).await?;
        let now = tx.clock().now();
        let taken = one_time_tokens::take(&mut tx, &token, Purpose::ResetPassword, now).await?;
        if taken.is_none() {
            return tx.rollback(None).await;
        }
        let known = users::by_id(&mut *tx, user).await?;
        if known.is_some_and(|known| known.email_verified_at.is_none()) {
            // Whoever registered the address before its owner did must not keep them out by a factor of theirs.
            totp::remove(&mut tx, user, now).await?;
        }
        let is_first = passwords::of_user(&mut *tx, user).await?.is_none();
        passwords::set(&mut tx, user, &hash, now).await?;
        one_time_tokens::void(&mut tx, user, Purpose::ResetPassword, now).await?;
        mark_verified(&mut tx, user, &first_admin).await?;
        let ended = sessions::end(&mut tx, user, None, None, now).await?;
        let mut entries = revoke::of_sessions(&ended, now, ttl);
        entries.extend(revoke::of_users(&[user], now, ttl));
        revoke::record(&mut tx, &entries).await?;
        audit::record(
            &mut *tx,
            Actor::user(user),
            Act::on_user("password.reset", user),
            now,
        )
        .await?;
        if !is_first {
            events::security_changed(&mut tx, user, SecurityChange::Password).await?;
        }
        tx.commit(Some(entries)).await
    });
    match done.await? {
        Some(entries) => {
            revoke::announce(app, &entries).await;
            Ok(())
        }
        None => Err(Problem::new(&codes::INVALID_ONE_TIME_TOKEN)),
    }
}
