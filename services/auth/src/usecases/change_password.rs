use access_token::Caller;
use problem::{Problem, codes};

use super::audit::{self, Act, Actor};
use super::events::{self, SecurityChange};
use super::{revoke, tries};
use crate::app::Auth;
use crate::domain::device::{self, Counted};
use crate::domain::{email, password};
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::{passwords, sessions, sign_in_tries, users};

/// Changes the caller's password. All other sessions end, and links that would set another one are void.
pub async fn change_password(app: &Auth, caller: &Caller, current: &str, new: &str) -> Result<(), Problem> {
    let caller = caller.in_person()?;
    let user = super::user(app, caller.id).await?;
    password::check("new_password", new, &user.email)?;
    // Who holds a session alone must not find the password out by trying.
    let subject = device::subject(
        &email::key(&user.email),
        Counted::Device(caller.session_id.0.as_bytes()),
    );
    tries::take(app, &subject).await?;
    let stored = passwords::of_user(app.db.primary(), user.id)
        .await
        .map_err(postgres::problem_of)?;
    let invalid = || Problem::new(&codes::INVALID_CREDENTIALS);
    let known = stored.as_ref().map(|stored| stored.hash.clone());
    if !app.passwords.verify(current, known).await?.matches {
        return Err(invalid());
    }
    let hash = app.passwords.hash(new).await?;
    let ttl = app.settings.access.ttl();
    let (id, session) = (user.id, caller.session_id);
    let changed = app.db.write(move |mut tx| async move {
        users::lock(&mut tx, id).await?;
        let current = passwords::of_user(&mut *tx, id).await?;
        // Of two changes at once the second has not shown the password that holds now.
        if current.map(|current| current.set_at) != stored.map(|stored| stored.set_at) {
            return tx.rollback(None).await;
        }
        let now = tx.clock().now();
        passwords::set(&mut tx, id, &hash, now).await?;
        one_time_tokens::void(&mut tx, id, Purpose::ResetPassword, now).await?;
        let ended = sessions::end(&mut tx, id, None, Some(session), now).await?;
        let entries = revoke::of_sessions(&ended, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        sign_in_tries::reset(&mut *tx, &subject).await?;
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
    let entries = changed.await?.ok_or_else(invalid)?;
    revoke::announce(app, &entries).await;
    Ok(())
}
