use access_token::Caller;
use problem::{Problem, codes};
use serde_json::json;
use time::Duration;
use typed_id::{SessionId, UserId};

use super::audit::{self, Act, Actor};
use super::paging::{Page, Paging};
use super::revoke;
use crate::app::Auth;
use crate::storage::sessions::{self, Session};

/// The caller's live sessions, newest first.
pub async fn list_sessions(
    app: &Auth,
    caller: &Caller,
    paging: Paging<'_>,
) -> Result<Page<Session>, Problem> {
    live(app, caller.user()?.id, paging).await
}

pub(super) async fn live(
    app: &Auth,
    user: UserId,
    Paging { size, token }: Paging<'_>,
) -> Result<Page<Session>, Problem> {
    let scope = format!("sessions:{user}");
    let before: Option<SessionId> = app.pages.open(&scope, token)?;
    let now = app.clock.now();
    let idle_since = now - Duration::days(app.settings.sessions.idle_days);
    let rows = sessions::live(app.db.primary(), user, now, idle_since, before, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Page::cut(app, &scope, rows, size, |session| session.id))
}

/// Ends one of the caller's sessions; one that is over already is as good as ended.
pub async fn end_session(app: &Auth, caller: &Caller, id: SessionId) -> Result<(), Problem> {
    let user = caller.user()?;
    if end_sessions(app, Actor::of(caller), user.id, Some(id), None).await? > 0 {
        return Ok(());
    }
    check_exists(app, user.id, id).await
}

/// Whether it was a session of that user: then it is over.
pub(super) async fn check_exists(app: &Auth, user: UserId, id: SessionId) -> Result<(), Problem> {
    let exists = sessions::exists(app.db.primary(), user, id)
        .await
        .map_err(postgres::problem_of)?;
    if exists {
        Ok(())
    } else {
        Err(Problem::new(&codes::NOT_FOUND))
    }
}

/// Ends the caller's sessions but this one.
pub async fn end_other_sessions(app: &Auth, caller: &Caller) -> Result<(), Problem> {
    let user = caller.user()?;
    end_sessions(app, Actor::of(caller), user.id, None, Some(user.session_id)).await?;
    Ok(())
}

/// Ends sessions of a user and revokes their tokens; says how many.
pub(super) async fn end_sessions(
    app: &Auth,
    actor: Actor,
    user: UserId,
    only: Option<SessionId>,
    except: Option<SessionId>,
) -> Result<usize, Problem> {
    let (now, ttl) = (app.clock.now(), app.settings.access.ttl());
    let ended = app.db.write(move |mut tx| async move {
        let ended = sessions::end(&mut tx, user, only, except, now).await?;
        if !ended.is_empty() {
            let act = Act::on_user("session.ended", user).with(json!({"sessions": ended}));
            audit::record(&mut *tx, actor, act, now).await?;
        }
        let entries = revoke::of_sessions(&ended, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        tx.commit(entries).await
    });
    let entries = ended.await?;
    revoke::announce(app, &entries).await;
    Ok(entries.len())
}
