use access_token::Revocation;
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use time::Duration;
use typed_id::SessionId;

use super::login::{Tokens, tokens};
use super::revoke;
use crate::app::Auth;
use crate::domain::secret;
use crate::storage::refresh_tokens;
use crate::storage::sessions::{self, Session};
use crate::storage::users::{self, User};

/// What became of a presented refresh token.
enum Outcome {
    /// Its successor is valid now, and the only one that is.
    Rotated(User, SessionId),
    /// Unknown, expired, or its session is over.
    Invalid,
    /// Its successor was used by somebody else: one of the two stole it. The session is ended.
    Reused(Vec<Revocation>),
}

/// Exchanges a refresh token for its successor.
///
/// A token whose successor was never used is a lost reply or another tab, and gets the same successor again; so nothing forks. A token
/// whose successor was used is a theft, and ends this session alone.
pub async fn refresh(app: &Auth, presented: String) -> Result<Tokens, Problem> {
    let successor = secret::successor(&app.refresh_key, &presented);
    let (hash, next) = (secret::hash(&presented), secret::hash(&successor));
    let (now, ttl) = (app.clock.now(), app.settings.access.ttl());
    let idle = Duration::days(app.settings.sessions.idle_days);
    let ip = request_context::current()
        .client_ip
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    let rotated = app.db.write(move |mut tx| async move {
        let Some(session) = session_of(&mut tx, &hash).await? else {
            return tx.rollback(Outcome::Invalid).await;
        };
        let is_over =
            session.ended_at.is_some() || session.expires_at <= now || session.last_used_at + idle <= now;
        // Read again under the session's lock: another request may have used it in between.
        let token = refresh_tokens::by_hash(&mut *tx, &hash).await?;
        let user = users::by_id(&mut *tx, session.user_id)
            .await?
            .filter(|user| user.is_active);
        let (Some(token), Some(user), false) = (token, user, is_over) else {
            return tx.rollback(Outcome::Invalid).await;
        };
        if token.used_at.is_none() {
            refresh_tokens::mark_used(&mut tx, &hash, now).await?;
            refresh_tokens::insert(&mut tx, &next, session.id, Some(&hash), now).await?;
        } else if refresh_tokens::by_hash(&mut *tx, &next)
            .await?
            .is_none_or(|next| next.used_at.is_some())
        {
            let ended = sessions::end(&mut tx, session.user_id, Some(session.id), None, now).await?;
            let entries = revoke::of_sessions(&ended, now, ttl);
            revoke::record(&mut tx, &entries).await?;
            return tx.commit(Outcome::Reused(entries)).await;
        }
        sessions::touch(&mut tx, session.id, &ip, now).await?;
        tx.commit(Outcome::Rotated(user, session.id)).await
    });
    let invalid = || Problem::new(&codes::INVALID_REFRESH_TOKEN);
    match rotated.await? {
        Outcome::Rotated(user, session) => tokens(app, user, session, successor).await,
        Outcome::Invalid => Err(invalid()),
        Outcome::Reused(entries) => {
            tracing::warn!("a refresh token was used twice; its session is ended");
            revoke::announce(app, &entries).await;
            Err(invalid())
        }
    }
}

/// The session of a refresh token, locked: refreshes of one session take turns.
async fn session_of(tx: &mut WriteTx, hash: &[u8]) -> Result<Option<Session>, WriteError> {
    let Some(token) = refresh_tokens::by_hash(&mut **tx, hash).await? else {
        return Ok(None);
    };
    Ok(sessions::lock(tx, token.session_id).await?)
}
