use access_token::{Caller, permissions};
use problem::{Problem, codes};
use serde_json::json;
use typed_id::{SessionId, UserId};

use super::audit::{self, Act, Actor};
use super::grant;
use super::reach::{Reach, ReachError};
use crate::app::Auth;
use crate::storage::sessions::{self, Session};

/// An access token to act as another user, and its lifetime in seconds. It has a session, which the user sees and can end.
pub async fn impersonate(
    app: &Auth,
    caller: &Caller,
    target: UserId,
    reason: &str,
) -> Result<(String, i32), Problem> {
    let actor = caller.in_person()?.id;
    let refused = || Problem::new(&codes::NOT_TO_BE_IMPERSONATED);
    if actor == target {
        return Err(refused());
    }
    let reach = Reach::of(app, caller).await?;
    let (ttl, reason) = (app.settings.access.ttl(), reason.to_owned());
    let begun = app.db.write(move |mut tx| async move {
        // Nobody becomes what they lack.
        reach.lock_managed(&mut tx, target).await?;
        let Some(holder) = grant::holder(&mut tx, target).await? else {
            return Ok(tx.rollback(None).await?);
        };
        if holder.may(permissions::USERS_IMPERSONATE) || holder.user.role == "admin" {
            return Ok(tx.rollback(Some(None)).await?);
        }
        let session = Session {
            id: SessionId::new(holder.at),
            user_id: target,
            device: "impersonation".into(),
            ip: String::new(),
            created_at: holder.at,
            last_used_at: holder.at,
            expires_at: holder.at + ttl,
            ended_at: None,
            impersonator_id: Some(actor),
        };
        sessions::insert(&mut tx, &session).await?;
        let act = Act::on_user("impersonation.begun", target)
            .with(json!({"reason": reason, "session_id": session.id}));
        audit::record(&mut *tx, Actor::user(actor), act, holder.at).await?;
        Ok::<_, ReachError>(tx.commit(Some(Some((holder, session.id)))).await?)
    });
    let (holder, session) = begun
        .await?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?
        .ok_or_else(refused)?;
    let token = holder.access_token(app, session, Some(actor))?;
    Ok((token, app.settings.access.ttl_seconds))
}
