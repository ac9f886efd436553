//! What a gateway hears.

use cache::{Heard, Key, Listening, RedisError, RedisSettings};
use clock::Clock;
use contracts::notification::v1::Notification;
use time::OffsetDateTime;
use typed_id::UserId;

/// One pattern for all users instead of a subscription for each: a connection that comes back needs one command and not ten
/// thousand, there is no moment between a user's first socket and their subscription, and dropping what is for others costs a
/// look into a map. At the thousand messages a second that the product is made for, that is nothing.
const PATTERN: &str = "sc:live:*";

#[derive(Debug)]
pub enum News {
    /// The user was told something.
    Told { user: UserId, notification: Untaken },
    /// From then on something may have been missed.
    Missed { since: OffsetDateTime },
}

/// Most news are for users of other gateways: they are read only where somebody takes them.
#[derive(Debug)]
pub struct Untaken(String);

impl Untaken {
    pub fn take(&self) -> Result<Notification, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

/// The news of an installation.
pub struct Feed {
    listening: Listening,
    users: String,
    missed: String,
    clock: Clock,
}

impl Feed {
    /// Starts to connect; does not wait.
    pub fn new(settings: &RedisSettings, clock: Clock) -> Result<Self, RedisError> {
        let nobody = UserId(typed_id::uuid::Uuid::nil());
        let one = Key::LiveUser(nobody).to_string();
        let users = one.trim_end_matches(&nobody.to_string()).to_owned();
        Ok(Self {
            listening: Listening::new(settings, PATTERN)?,
            users,
            missed: Key::LiveMissed.to_string(),
            clock,
        })
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> News {
        loop {
            match self.listening.next().await {
                Heard::Gap(lasted) => {
                    let since = self.clock.now() - lasted;
                    return News::Missed { since };
                }
                Heard::Message { channel, message } => {
                    if let Some(news) = self.read(&channel, message) {
                        return news;
                    }
                    tracing::debug!(channel, "nobody understands this");
                }
            }
        }
    }

    fn read(&self, channel: &str, message: String) -> Option<News> {
        if let Some(user) = channel.strip_prefix(&self.users) {
            return Some(News::Told {
                user: user.parse().ok()?,
                notification: Untaken(message),
            });
        }
        if channel != self.missed {
            return None;
        }
        let micros: i64 = message.parse().ok()?;
        let since = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?;
        Some(News::Missed { since })
    }
}
