//! What a gateway hears.

use std::collections::VecDeque;

use cache::{Heard, Key, Listening, RedisError, RedisSettings};
use clock::Clock;
use contracts::notification::v1::Notification;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use typed_id::UserId;

/// One channel for all users instead of a subscription for each: a connection that comes back needs one command and not ten
/// thousand, there is no moment between a user's first socket and their subscription, and dropping what is for others costs a
/// look into a map. What is told to many at once comes in one message.
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
pub struct Untaken(Box<RawValue>);

impl Untaken {
    pub fn take(&self) -> Result<Notification, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

/// The news of an installation.
pub struct Feed {
    listening: Listening,
    /// Heard, and not yet given.
    news: VecDeque<News>,
    told: String,
    missed: String,
    clock: Clock,
}

impl Feed {
    /// Starts to connect; does not wait.
    pub fn new(settings: &RedisSettings, clock: Clock) -> Result<Self, RedisError> {
        Ok(Self {
            listening: Listening::new(settings, PATTERN)?,
            news: VecDeque::new(),
            told: Key::LiveNews.to_string(),
            missed: Key::LiveMissed.to_string(),
            clock,
        })
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            match self.listening.next().await {
                Heard::Gap(lasted) => {
                    let since = self.clock.now() - lasted;
                    return News::Missed { since };
                }
                Heard::Message { channel, message } => {
                    let Some(news) = self.read(&channel, &message) else {
                        tracing::debug!(channel, "nobody understands this");
                        continue;
                    };
                    self.news.extend(news);
                }
            }
        }
    }

    fn read(&self, channel: &str, message: &str) -> Option<Vec<News>> {
        if channel == self.told {
            let Ok(told) = serde_json::from_str::<Vec<(UserId, Box<RawValue>)>>(message) else {
                // As of another release: whom it was for is asked of the service.
                tracing::warn!(channel, "what was told cannot be read");
                let since = self.clock.now();
                return Some(vec![News::Missed { since }]);
            };
            let news = told.into_iter().map(|(user, notification)| News::Told {
                user,
                notification: Untaken(notification),
            });
            return Some(news.collect());
        }
        if channel != self.missed {
            return None;
        }
        let micros: i64 = message.parse().ok()?;
        let since = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?;
        Some(vec![News::Missed { since }])
    }
}
