//! Telling users' sockets what was just committed.

use std::sync::Arc;
use std::time::Duration;

use cache::{Key, Redis};
use clock::Clock;
use contracts::notification::v1::Notification;
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use typed_id::UserId;

/// Notifications that one message holds at most: a crowd's come together, as the events do that cause them.
const TOGETHER: usize = 256;
/// Notifications that wait for Redis, which answers in 100 ms or not at all.
const WAITING: usize = 10_000;
const AGAIN: Duration = Duration::from_millis(500);
/// A process that died may have taken this much of its news along.
const BEFORE_START: Duration = Duration::from_mins(1);
/// Consumers that end with this process may still commit something.
const AFTER_STOP: Duration = Duration::from_secs(1);

/// Since when something may not have been told.
type Missed = Arc<Mutex<Option<OffsetDateTime>>>;

/// Takes what is to be told; never waits.
#[derive(Clone)]
pub struct Push {
    queue: mpsc::Sender<Told>,
    missed: Missed,
    clock: Clock,
}

struct Told {
    user: UserId,
    notification: Notification,
    at: OffsetDateTime,
}

/// Publishes it.
pub struct Pusher {
    queue: mpsc::Receiver<Told>,
    missed: Missed,
    redis: Redis,
}

pub fn push(redis: Redis, clock: Clock) -> (Push, Pusher) {
    let (sender, queue) = mpsc::channel(WAITING);
    let missed = Arc::new(Mutex::new(Some(clock.now() - BEFORE_START)));
    let pusher = Pusher {
        queue,
        missed: Arc::clone(&missed),
        redis,
    };
    let push = Push {
        queue: sender,
        missed,
        clock,
    };
    (push, pusher)
}

impl Push {
    /// To be called after the commit.
    pub fn tell(&self, user: UserId, notification: Notification) {
        let told = Told {
            user,
            notification,
            at: self.clock.now(),
        };
        if let Err(fault) = self.queue.try_send(told) {
            miss(&self.missed, fault.into_inner().at);
        }
    }
}

impl Pusher {
    pub async fn run(mut self, stop: CancellationToken) {
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                count = self.queue.recv_many(&mut told, TOGETHER) => {
                    if count == 0 {
                        break;
                    }
                    self.publish(&told).await;
                    told.clear();
                }
                _ = again.tick() => self.confess().await,
            }
        }
        while let Ok(1..) = timeout(AFTER_STOP, self.queue.recv_many(&mut told, TOGETHER)).await {
            self.publish(&told).await;
            told.clear();
        }
    }

    async fn publish(&self, told: &[Told]) {
        let news: Vec<(UserId, &Notification)> =
            told.iter().map(|told| (told.user, &told.notification)).collect();
        let took = match serde_json::to_string(&news) {
            Ok(message) => self.redis.publish(&Key::LiveNews, message).await,
            Err(fault) => {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "notifications are no JSON"
                );
                false
            }
        };
        let outcome = if took { "published" } else { "missed" };
        metrics::counter!("live_published_total", "outcome" => outcome).increment(told.len() as u64);
        if let Some(first) = told.iter().map(|told| told.at).min().filter(|_| !took) {
            miss(&self.missed, first);
        }
    }

    /// Tells all gateways since when they may have missed something, once Redis takes it.
    async fn confess(&self) {
        // Taken before it is told: what is missed meanwhile must not be forgotten with it.
        let Some(since) = self.missed.lock().take() else {
            return;
        };
        let micros = since.unix_timestamp_nanos() / 1_000;
        if !self.redis.publish(&Key::LiveMissed, micros.to_string()).await {
            miss(&self.missed, since);
        }
    }
}

fn miss(missed: &Missed, at: OffsetDateTime) {
    let mut missed = missed.lock();
    *missed = Some(missed.map_or(at, |known| known.min(at)));
}
