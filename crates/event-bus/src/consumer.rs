//! Consumes a durable queue: the effect of each event once, in order for each subject, others not held up by one that fails.

mod handle;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::StreamExt;
use lapin::message::Delivery as Message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use postgres::Database;
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Backoff, BusError, EventBus, PATIENCE};
use crate::envelope::Envelope;
use crate::subscription::Subscription;
use handle::Handling;

/// Events of one subject go through the same lane, one after the other.
const LANES: usize = 8;
/// Events of a lane that wait are handled in one transaction, so many at most.
const TOGETHER: usize = 32;
const TAG: &str = "consumer";

/// A consumer of one queue.
pub struct Consumer {
    bus: EventBus,
    handling: Arc<Handling>,
}

impl Consumer {
    pub fn new(db: Database, bus: EventBus, subscription: Subscription) -> Self {
        let name = subscription.queue.name();
        let handling = Handling {
            db,
            name,
            subscription,
        };
        Self {
            bus,
            handling: Arc::new(handling),
        }
    }

    /// Runs until `shutdown`; what is in hand is finished.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let Err(fault) = self.session(&shutdown, &mut backoff).await else {
                return;
            };
            self.bus.lost();
            let (queue, pause) = (&self.handling.name, backoff.next());
            tracing::warn!(
                queue,
                error = &fault as &dyn std::error::Error,
                ?pause,
                "events cannot be consumed"
            );
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One connection's life; `Ok` when it ended by `shutdown`.
    async fn session(&self, shutdown: &CancellationToken, backoff: &mut Backoff) -> Result<(), BusError> {
        let link = self.bus.open(&self.handling.name).await?;
        let qos = link
            .channel
            .basic_qos(self.bus.prefetch(), BasicQosOptions::default());
        tokio::time::timeout(PATIENCE, qos).await??;
        let consuming = link.channel.basic_consume(
            self.handling.name.as_str().into(),
            TAG.into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut messages = tokio::time::timeout(PATIENCE, consuming).await??;
        tracing::debug!(queue = self.handling.name, "consuming");
        backoff.reset();
        let tracker = TaskTracker::new();
        let lanes: Vec<_> = (0..LANES).map(|_| self.lane(&tracker, shutdown)).collect();
        let ended = loop {
            tokio::select! {
                () = shutdown.cancelled() => break Ok(()),
                next = messages.next() => match next {
                    // The lanes hold what prefetch lets in: sending never waits for long.
                    Some(Ok(message)) => lanes[lane_of(&message)].send(message).await.map_err(|_| BusError::Closed)?,
                    Some(Err(fault)) => break Err(fault.into()),
                    None => break Err(BusError::Closed),
                },
            }
        };
        if ended.is_ok() {
            let cancelling = link
                .channel
                .basic_cancel(TAG.into(), BasicCancelOptions::default());
            let _ = tokio::time::timeout(PATIENCE, cancelling).await;
        }
        drop(lanes);
        tracker.close();
        tracker.wait().await;
        link.close().await;
        ended
    }

    fn lane(&self, tracker: &TaskTracker, shutdown: &CancellationToken) -> mpsc::Sender<Message> {
        let (sender, mut receiver) = mpsc::channel::<Message>(usize::from(self.bus.prefetch()));
        let (handling, retries, shutdown) = (Arc::clone(&self.handling), tracker.clone(), shutdown.clone());
        tracker.spawn(async move {
            let mut messages = Vec::new();
            while receiver.recv_many(&mut messages, TOGETHER).await > 0 {
                handling
                    .handle_all(std::mem::take(&mut messages), &retries, &shutdown)
                    .await;
            }
        });
        sender
    }
}

/// Forgets events that were handled more than a week ago, when no broker delivers them again, and why others failed: after a week, or
/// after 90 days where they are dead letters. Gives their number.
pub async fn purge_inbox(db: &Database) -> Result<u64, sqlx::Error> {
    let failures = format!(
        "DELETE FROM {}.inbox_failures
         WHERE failed_at < clock_timestamp() - CASE WHEN dead THEN interval '90 days' ELSE interval '7 days' END",
        db.schema()
    );
    sqlx::query(AssertSqlSafe(failures)).execute(db.primary()).await?;
    let statement = format!(
        "DELETE FROM {}.inbox WHERE processed_at < clock_timestamp() - interval '7 days'",
        db.schema()
    );
    let removed = sqlx::query(AssertSqlSafe(statement))
        .execute(db.primary())
        .await?;
    Ok(removed.rows_affected())
}

fn lane_of(message: &Message) -> usize {
    let mut hasher = DefaultHasher::new();
    Envelope::read(&message.properties)
        .map(|envelope| envelope.subject)
        .hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
}
