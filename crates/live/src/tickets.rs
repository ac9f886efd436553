//! Single-use tickets that open a socket in place of a token, for clients that cannot hide a token in the handshake.

use std::time::Duration;

use access_token::User;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cache::fred::interfaces::KeysInterface;
use cache::fred::types::Expiration;
use cache::{Key, Redis};

const LIVES: Duration = Duration::from_secs(30);
const PREFIX: &str = "lt_";

#[derive(Debug)]
pub struct Ticket {
    pub text: String,
    pub lives: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    #[error("Redis is away")]
    Away,
    #[error("no such ticket, or it was taken or has expired")]
    Unknown,
    #[error("a ticket has another shape")]
    Shape(#[from] serde_json::Error),
}

/// The tickets of an installation: kept in Redis by their hash, and taken from there by whoever comes first.
#[derive(Clone)]
pub struct Tickets {
    redis: Redis,
}

impl Tickets {
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// A ticket that stands for this user, session and token.
    pub async fn issue(&self, user: &User) -> Result<Ticket, TicketError> {
        let secret: [u8; 32] = rand::random();
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
        let (name, holder) = (self.redis.key(&key(&text)), serde_json::to_string(user)?);
        let expiry = Some(Expiration::PX(LIVES.as_millis() as i64));
        self.redis
            .run(|client| async move { client.set::<(), _, _>(name, holder, expiry, None, false).await })
            .await
            .ok_or(TicketError::Away)?;
        Ok(Ticket { text, lives: LIVES })
    }

    /// Takes a ticket; nobody can take it again. Whether its session still lives is the taker's to ask.
    pub async fn take(&self, text: &str) -> Result<User, TicketError> {
        let name = self.redis.key(&key(text));
        let holder = self
            .redis
            .run(|client| async move { client.getdel::<Option<String>, _>(name).await })
            .await
            .ok_or(TicketError::Away)?
            .ok_or(TicketError::Unknown)?;
        Ok(serde_json::from_str(&holder)?)
    }
}

fn key(text: &str) -> Key {
    Key::LiveTicket(hex::encode(digest(&SHA256, text.as_bytes())))
}
