//! Sessions and factors of others, for who manages them.

use access_token::Caller;
use problem::{Problem, codes};
use typed_id::{SessionId, UserId};

use super::audit::Act;
use super::events::{self, SecurityChange};
use super::paging::{Page, Paging};
use super::reach::{Reach, ReachError};
use super::{audit, revoke, second_factor};
use crate::app::Auth;
use crate::storage::service_accounts;
use crate::storage::sessions::{self, Session};
use crate::storage::totp;

/// A user's live sessions, newest first.
pub async fn list_of_user(
    app: &Auth,
    reach: &Reach,
    id: UserId,
    paging: Paging<'_>,
) -> Result<Page<Session>, Problem> {
    check_managed(app, reach, id).await?;
    super::sessions::live(app, id, paging).await
}

/// Ends all sessions of a user, or one; those that are over already are as good as ended.
pub async fn end_of_user(
    app: &Auth,
    reach: &Reach,
    id: UserId,
    only: Option<SessionId>,
) -> Result<(), Problem> {
    check_managed(app, reach, id).await?;
    let ended = super::sessions::end_sessions(app, reach.actor, id, only, None).await?;
    match only {
        Some(session) if ended == 0 => super::sessions::check_exists(app, id, session).await,
        _ => Ok(()),
    }
}

/// Takes the second factor of somebody who has lost it away. All their sessions end: whoever has the device may be in one.
pub async fn remove_factor(app: &Auth, caller: &Caller, id: UserId) -> Result<(), Problem> {
    second_factor::check_fresh(app, caller).await?;
    if caller.in_person()?.id == id {
        // One's own goes by one's own route.
        return Err(Problem::new(&codes::PERMISSION_DENIED));
    }
    let (reach, ttl) = (Reach::of(app, caller).await?, app.settings.access.ttl());
    let removed = app.db.write(move |mut tx| async move {
        reach.lock_managed(&mut tx, id).await?;
        let now = tx.clock().now();
        if !totp::remove(&mut tx, id, now).await? {
            return Ok(tx.rollback(Vec::new()).await?);
        }
        let ended = sessions::end(&mut tx, id, None, None, now).await?;
        let mut entries = revoke::of_sessions(&ended, now, ttl);
        let mut holders = service_accounts::of_makers(&mut tx, &[id.0]).await?;
        holders.push(id);
        entries.extend(revoke::of_users(&holders, now, ttl));
        revoke::record(&mut tx, &entries).await?;
        audit::record(&mut *tx, reach.actor, Act::on_user("totp.removed", id), now).await?;
        events::security_changed(&mut tx, id, SecurityChange::TotpDisabled).await?;
        Ok::<_, ReachError>(tx.commit(entries).await?)
    });
    revoke::announce(app, &removed.await?).await;
    Ok(())
}

async fn check_managed(app: &Auth, reach: &Reach, id: UserId) -> Result<(), Problem> {
    let reach = reach.clone();
    let checked = app.db.write(move |mut tx| async move {
        reach.lock_managed(&mut tx, id).await?;
        Ok::<_, ReachError>(tx.rollback(()).await?)
    });
    Ok(checked.await?)
}
