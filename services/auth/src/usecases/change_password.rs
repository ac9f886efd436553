use access_token::Caller;
use problem::Problem;

use super::audit::{self, Act, Actor};
use super::current_password::{self, CurrentPassword};
use super::events::{self, SecurityChange};
use super::revoke;
use crate::app::Auth;
use crate::domain::password;
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::{passwords, sessions, users};

/// Changes the caller's password. All other sessions end, and links that would set another one are void.
pub async fn change_password(app: &Auth, caller: &Caller, current: &str, new: &str) -> Result<(), Problem> {
    let caller = caller.in_person()?;
    let user = super::user(app, caller.id).await?;
    password::check("new_password", new, &user.email)?;
    let shown = CurrentPassword::verify(app, &user, caller.session_id, current).await?;
    let hash = app.passwords.hash(new).await?;
    let ttl = app.settings.access.ttl();
    let (id, session) = (user.id, caller.session_id);
    let changed = app.db.write(move |mut tx| async move {
        users::lock(&mut tx, id).await?;
        // Of two changes at once the second has not shown the password that holds now.
        if !shown.still_holds(&mut tx, id).await? {
            return tx.rollback(None).await;
        }
        let now = tx.clock().now();
        passwords::set(&mut tx, id, &hash, now).await?;
        one_time_tokens::void(&mut tx, id, Purpose::ResetPassword, now).await?;
        let ended = sessions::end(&mut tx, id, None, Some(session), now).await?;
        let entries = revoke::of_sessions(&ended, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        audit::record(
            &mut *tx,
            Actor::user(id),
            Act::on_user("password.changed", id),
            now,
        )
        .await?;
        events::security_changed(&mut tx, id, SecurityChange::Password).await?;
        tx.commit(Some(entries)).await
    });
    let entries = changed.await?.ok_or_else(current_password::wrong)?;
    revoke::announce(app, &entries).await;
    Ok(())
}
