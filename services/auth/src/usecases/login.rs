use access_token::UserToken;
use postgres::WriteTx;
use problem::{Problem, codes};
use time::Duration;
use typed_id::{SessionId, TokenId};

use crate::app::Auth;
use crate::domain::email;
use crate::domain::secret::{self, Kind};
use crate::storage::sessions::{self, Session};
use crate::storage::users::{self, User};
use crate::storage::{passwords, refresh_tokens, roles};

/// What a client gets when it signs in or renews.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in: i32,
    pub refresh_token: String,
    pub user: User,
}

/// Signs in with a password. Whatever was wrong, the answer and its time are the same.
pub async fn login(app: &Auth, address: &str, password: &str) -> Result<Tokens, Problem> {
    let user = users::by_email(app.db.primary(), &email::key(address))
        .await
        .map_err(postgres::problem_of)?;
    let hash = match &user {
        Some(user) => passwords::of_user(app.db.primary(), user.id)
            .await
            .map_err(postgres::problem_of)?,
        None => None,
    };
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
    let (now, absolute) = (
        app.clock.now(),
        Duration::days(app.settings.sessions.absolute_days),
    );
    let context = request_context::current();
    let session = Session {
        id: SessionId::new(now),
        user_id: user.id,
        device: context
            .user_agent
            .map(|agent| agent.to_string())
            .unwrap_or_default(),
        ip: context.client_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        created_at: now,
        last_used_at: now,
        expires_at: now + absolute,
        ended_at: None,
    };
    let (session_id, hashed) = (session.id, secret::hash(&refresh_token));
    let user_id = user.id;
    app.db
        .write(move |mut tx| async move {
            if let Some(hash) = new_hash {
                passwords::set(&mut tx, user_id, &hash, now).await?;
            }
            begin_session(&mut tx, &session, &hashed).await?;
            tx.commit(()).await
        })
        .await?;
    tokens(app, user, session_id, refresh_token).await
}

async fn begin_session(tx: &mut WriteTx, session: &Session, refresh_hash: &[u8]) -> Result<(), sqlx::Error> {
    sessions::insert(tx, session).await?;
    refresh_tokens::insert(tx, refresh_hash, session.id, None, session.created_at).await
}

/// An access token for the session, with what the user's role allows at this moment.
pub(super) async fn tokens(
    app: &Auth,
    user: User,
    session: SessionId,
    refresh_token: String,
) -> Result<Tokens, Problem> {
    let role = roles::by_name(app.db.primary(), &user.role)
        .await
        .map_err(postgres::problem_of)?;
    let permissions = role.map(|role| role.permissions).unwrap_or_default();
    let now = app.clock.now();
    let access_token = app
        .keys
        .issue_user(&UserToken {
            user_id: user.id,
            session_id: session,
            token_id: TokenId::new(now),
            roles: std::slice::from_ref(&user.role),
            permissions: &permissions,
            now,
            ttl: app.settings.access.ttl(),
        })
        .map_err(Problem::internal)?;
    Ok(Tokens {
        access_token,
        expires_in: app.settings.access.ttl_seconds,
        refresh_token,
        user,
    })
}
