use access_token::Caller;
use problem::{Problem, codes};

use super::revoke;
use crate::app::Auth;
use crate::domain::password;
use crate::storage::{passwords, sessions};

/// Changes the caller's password. All other sessions end.
pub async fn change_password(app: &Auth, caller: &Caller, current: &str, new: &str) -> Result<(), Problem> {
    let caller = caller.user()?;
    let user = super::user(app, caller.id).await?;
    password::check("new_password", new, &user.email)?;
    let stored = passwords::of_user(app.db.primary(), user.id)
        .await
        .map_err(postgres::problem_of)?;
    if !app.passwords.verify(current, stored).await?.matches {
        return Err(Problem::new(&codes::INVALID_CREDENTIALS));
    }
    let hash = app.passwords.hash(new).await?;
    let (now, ttl) = (app.clock.now(), app.settings.access.ttl());
    let (id, session) = (user.id, caller.session_id);
    let changed = app.db.write(move |mut tx| async move {
        passwords::set(&mut tx, id, &hash, now).await?;
        let ended = sessions::end(&mut tx, id, None, Some(session), now).await?;
        let entries = revoke::of_sessions(&ended, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        tx.commit(entries).await
    });
    let entries = changed.await?;
    revoke::announce(app, &entries).await;
    Ok(())
}
