use postgres::WriteTx;
use request_context::RequestContext;
use serde_json::{Value, json};
use time::Duration;
use typed_id::SessionId;

use super::audit::{self, Act, Actor};
use super::grant::Holder;
use crate::storage::refresh_tokens;
use crate::storage::sessions::{self, Session};

/// Where somebody signs in from, as far as the client tells.
#[derive(Debug, Clone)]
pub struct Place {
    pub ip: String,
    pub device: String,
}

impl Place {
    /// That of the request that is served.
    pub fn here() -> Self {
        let RequestContext {
            client_ip,
            user_agent,
            ..
        } = request_context::current();
        Self {
            ip: client_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            device: user_agent.map(|agent| agent.to_string()).unwrap_or_default(),
        }
    }
}

/// A new session of somebody who has shown who they are, with its first refresh token.
pub async fn begin_session(
    tx: &mut WriteTx,
    holder: &Holder,
    place: Place,
    refresh_hash: &[u8],
    absolute: Duration,
    mut details: Value,
) -> Result<SessionId, sqlx::Error> {
    let session = Session {
        id: SessionId::new(holder.at),
        user_id: holder.user.id,
        device: place.device,
        ip: place.ip,
        created_at: holder.at,
        last_used_at: holder.at,
        expires_at: holder.at + absolute,
        ended_at: None,
        impersonator_id: None,
    };
    sessions::insert(tx, &session).await?;
    refresh_tokens::insert(tx, refresh_hash, session.id, holder.at).await?;
    details["session_id"] = json!(session.id);
    let act = Act::on_user("sign_in.succeeded", holder.user.id).with(details);
    audit::record(&mut **tx, Actor::user(holder.user.id), act, holder.at).await?;
    Ok(session.id)
}
