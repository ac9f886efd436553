use problem::{Problem, codes};
use time::Duration;
use typed_id::SessionId;

use super::grant::{self, Tokens};
use crate::app::Auth;
use crate::domain::email;
use crate::domain::secret::{self, Kind};
use crate::storage::sessions::{self, Session};
use crate::storage::{passwords, refresh_tokens, users};

/// Signs in with a password. Whatever was wrong, the answer and its time are the same.
pub async fn login(app: &Auth, address: &str, password: &str) -> Result<Tokens, Problem> {
    let user = users::by_email(app.db.primary(), &email::key(address))
        .await
        .map_err(postgres::problem_of)?;
    let stored = match &user {
        Some(user) => passwords::of_user(app.db.primary(), user.id)
            .await
            .map_err(postgres::problem_of)?,
        None => None,
    };
    let hash = stored.as_ref().map(|stored| stored.hash.clone());
    let verified = app.passwords.verify(password, hash).await?;
    let invalid = || Problem::new(&codes::INVALID_CREDENTIALS);
    let user = user
        .filter(|user| verified.matches && user.is_active)
        .ok_or_else(invalid)?;
    let new_hash = if verified.outdated {
        Some(app.passwords.hash(password).await?)
    } else {
        None
    };
    let refresh_token = secret::random(Kind::Refresh).map_err(Problem::internal)?;
    let hashed = secret::hash(&refresh_token);
    let absolute = Duration::days(app.settings.sessions.absolute_days);
    let context = request_context::current();
    let text = |given: Option<String>| given.unwrap_or_default();
    let device = text(context.user_agent.map(|agent| agent.to_string()));
    let ip = text(context.client_ip.map(|ip| ip.to_string()));
    let begun = app.db.write(move |mut tx| async move {
        let Some(holder) = grant::holder(&mut tx, user.id).await? else {
            return tx.rollback(None).await;
        };
        // A password that was changed since it was verified no longer signs in.
        let current = passwords::of_user(&mut *tx, user.id).await?;
        let is_current = current.map(|current| current.set_at) == stored.as_ref().map(|stored| stored.set_at);
        if !is_current {
            return tx.rollback(None).await;
        }
        if let (Some(new), Some(old)) = (&new_hash, &stored) {
            passwords::rehash(&mut tx, user.id, &old.hash, new).await?;
        }
        let session = Session {
            id: SessionId::new(holder.at),
            user_id: user.id,
            device,
            ip,
            created_at: holder.at,
            last_used_at: holder.at,
            expires_at: holder.at + absolute,
            ended_at: None,
        };
        sessions::insert(&mut tx, &session).await?;
        refresh_tokens::insert(&mut tx, &hashed, session.id, holder.at).await?;
        tx.commit(Some((holder, session.id))).await
    });
    let (holder, session) = begun.await?.ok_or_else(invalid)?;
    holder.tokens(app, session, refresh_token)
}
