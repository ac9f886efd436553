//! What others publish, over one connection of its own, and since when something may not have been heard.

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Server;
use fred::types::{Message, RespVersion};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::RedisSettings;
use crate::redis::{RedisError, builder};

/// How often the connection is asked whether it lives: a subscriber that hears nothing cannot tell silence from a dead server.
const BEAT: Duration = Duration::from_secs(1);
/// Messages that wait here for [`Listening::next`]; what comes on top is a gap.
const WAITING: usize = 8_192;

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// A message; the channel is without the installation's prefix.
    Message { channel: String, message: String },
    /// The subscription holds, but what was published in the last so-and-so long may not have come.
    Gap(Duration),
}

/// The subscription of a process to all channels of a pattern.
pub struct Listening {
    client: Client,
    pattern: String,
    prefix: String,
    messages: broadcast::Receiver<Message>,
    connected: broadcast::Receiver<Server>,
    beat: Interval,
    is_subscribed: bool,
    /// Until then nothing was missed.
    whole_until: Instant,
}

impl Listening {
    /// Starts to connect; does not wait, and goes on trying for ever. `pattern` is of Redis, without the prefix.
    pub fn new(settings: &RedisSettings, pattern: &str) -> Result<Self, RedisError> {
        let mut builder = builder(settings)?;
        builder
            // RESP3, as a subscriber may send other commands there.
            .with_config(|config| config.version = RespVersion::RESP3)
            .with_performance_config(|performance| {
                performance.default_command_timeout = Duration::from_secs(1);
                performance.broadcast_channel_capacity = WAITING;
            });
        let client = builder.build()?;
        let (messages, connected) = (client.message_rx(), client.reconnect_rx());
        // The task ends with the client.
        drop(client.connect());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            client,
            pattern: format!("{}{pattern}", literal(&settings.prefix)),
            prefix: settings.prefix.clone(),
            messages,
            connected,
            beat,
            is_subscribed: false,
            whole_until: Instant::now(),
        })
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                biased;
                connected = self.connected.recv() => {
                    self.is_subscribed = false;
                    match connected {
                        // The client is gone only with this value.
                        Err(RecvError::Closed) => std::future::pending().await,
                        Ok(_) | Err(RecvError::Lagged(_)) => self.beat.reset_immediately(),
                    }
                }
                message = self.messages.recv() => match message {
                    Ok(message) => {
                        if let Some(heard) = self.read(&message) {
                            return heard;
                        }
                    }
                    Err(RecvError::Lagged(_)) => return Heard::Gap(self.whole_until.elapsed()),
                    Err(RecvError::Closed) => std::future::pending().await,
                },
                _ = self.beat.tick() => {
                    if let Some(gap) = self.beat().await {
                        return gap;
                    }
                }
            }
        }
    }

    /// Subscribes where that is due. The answer to a PING is the proof that the server has the subscription, as it is the same
    /// connection; it counts only when there was no other connection meanwhile.
    async fn beat(&mut self) -> Option<Heard> {
        let asked = Instant::now();
        let subscribes = !self.is_subscribed;
        if subscribes && self.client.psubscribe(self.pattern.as_str()).await.is_err() {
            return None;
        }
        let answered = self.client.ping::<String>(None).await;
        if let Err(fault) = &answered {
            tracing::debug!(
                error = fault as &dyn std::error::Error,
                "the subscription was not answered"
            );
        }
        if answered.is_err() || !self.connected.is_empty() {
            return None;
        }
        let missed = asked.saturating_duration_since(self.whole_until);
        self.is_subscribed = true;
        // Lagging behind what waits is found when it is read.
        if self.messages.len() < WAITING {
            self.whole_until = asked;
        }
        subscribes.then_some(Heard::Gap(missed))
    }

    fn read(&self, message: &Message) -> Option<Heard> {
        let channel = message.channel.strip_prefix(self.prefix.as_str())?.to_owned();
        let message = message.value.as_string()?;
        Some(Heard::Message { channel, message })
    }
}

/// A text as a pattern that matches it alone.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
