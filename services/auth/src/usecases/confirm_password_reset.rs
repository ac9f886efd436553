use problem::{Problem, codes};

use super::revoke;
use super::verify_email::mark_verified;
use crate::app::Auth;
use crate::domain::{email, password, secret};
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::{passwords, sessions};

/// Sets a password with the secret of a mail, which proves the address too. All sessions end.
pub async fn confirm_password_reset(app: &Auth, token: String, new_password: &str) -> Result<(), Problem> {
    password::check("new_password", new_password, "")?;
    let hash = app.passwords.hash(new_password).await?;
    let (now, ttl) = (app.clock.now(), app.settings.access.ttl());
    let first_admin = email::key(&app.settings.bootstrap_admin_email);
    let done = app.db.write(move |mut tx| async move {
        let token = secret::hash(&token);
        let Some(user) = one_time_tokens::take(&mut tx, &token, Purpose::ResetPassword, now).await? else {
            return tx.rollback(None).await;
        };
        passwords::set(&mut tx, user, &hash, now).await?;
        one_time_tokens::void(&mut tx, user, Purpose::ResetPassword, now).await?;
        mark_verified(&mut tx, user, &first_admin).await?;
        let ended = sessions::end(&mut tx, user, None, None, now).await?;
        let mut entries = revoke::of_sessions(&ended, now, ttl);
        entries.extend(revoke::of_users(&[user], now, ttl));
        revoke::record(&mut tx, &entries).await?;
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
