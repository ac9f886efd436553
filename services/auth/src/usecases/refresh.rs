use access_token::Revocation;
use problem::{Problem, codes};
use serde_json::json;
use time::Duration;
use typed_id::SessionId;

use super::audit::{self, Act, Actor};
use super::grant::{self, Holder, Tokens};
use super::revoke;
use crate::app::Auth;
use crate::domain::rotation::{Verdict, judge};
use crate::domain::secret;
use crate::storage::{refresh_tokens, sessions};

/// What became of a presented refresh token.
enum Outcome {
    /// Its successor is valid now, and the only one that is.
    Rotated(Box<Holder>, SessionId),
    /// Unknown, expired, or its session is over.
    Invalid,
    /// Two hold this chain: one of them stole it. The session is ended.
    Reused(Vec<Revocation>),
}

/// Exchanges a refresh token for its successor.
///
/// A token whose successor was never used is a lost reply or another tab, and gets the same successor again; so nothing forks. A token
/// whose successor was used is a theft, and ends this session alone.
pub async fn refresh(app: &Auth, presented: String) -> Result<Tokens, Problem> {
    let successor = secret::successor(&app.refresh_key, &presented);
    let (hash, next) = (secret::hash(&presented), secret::hash(&successor));
    let ttl = app.settings.access.ttl();
    let idle = Duration::days(app.settings.sessions.idle_days);
    let ip = request_context::current()
        .client_ip
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    let rotated = app.db.write(move |mut tx| async move {
        let Some(owner) = refresh_tokens::owner(&mut *tx, &hash).await? else {
            return tx.rollback(Outcome::Invalid).await;
        };
        let Some(holder) = grant::holder(&mut tx, owner.user_id).await? else {
            return tx.rollback(Outcome::Invalid).await;
        };
        // Refreshes of one session take turns; the chain is read under its lock.
        let session = sessions::lock(&mut tx, owner.session_id).await?;
        let link = refresh_tokens::link(&mut tx, &hash, &next).await?;
        let is_live = session.is_some_and(|session| {
            session.ended_at.is_none()
                && session.expires_at > holder.at
                && session.last_used_at + idle > holder.at
        });
        let (Some(link), true) = (link, is_live) else {
            return tx.rollback(Outcome::Invalid).await;
        };
        match judge(link) {
            Verdict::Rotate => {
                refresh_tokens::rotate(&mut tx, &hash, &next, owner.session_id, holder.at).await?;
            }
            Verdict::Repeat => {}
            Verdict::Reuse => {
                let ended =
                    sessions::end(&mut tx, owner.user_id, Some(owner.session_id), None, holder.at).await?;
                let entries = revoke::of_sessions(&ended, holder.at, ttl);
                revoke::record(&mut tx, &entries).await?;
                let act = Act::on_user("refresh_token.reused", owner.user_id)
                    .with(json!({"session_id": owner.session_id}));
                audit::record(&mut *tx, Actor::NOBODY, act, holder.at).await?;
                return tx.commit(Outcome::Reused(entries)).await;
            }
        }
        sessions::touch(&mut tx, owner.session_id, &ip, holder.at).await?;
        tx.commit(Outcome::Rotated(Box::new(holder), owner.session_id))
            .await
    });
    let invalid = || Problem::new(&codes::INVALID_REFRESH_TOKEN);
    match rotated.await? {
        Outcome::Rotated(holder, session) => holder.tokens(app, session, successor, String::new()),
        Outcome::Invalid => Err(invalid()),
        Outcome::Reused(entries) => {
            tracing::warn!("a refresh token was used twice; its session is ended");
            revoke::announce(app, &entries).await;
            Err(invalid())
        }
    }
}
