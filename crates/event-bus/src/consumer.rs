//! Consumes a durable queue: the effect of each event once, in order for each subject, others not held up by one that fails.

mod apart;
mod handle;
mod settle;
mod together;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::StreamExt;
use lapin::message::Delivery as Message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use postgres::Database;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batch;
use crate::connection::{Backoff, BusError, EventBus, PATIENCE};
use crate::pace;
use crate::subscription::Subscription;
use handle::Handling;

/// Messages that wait are handled together, so many at most.
const TOGETHER: usize = 256;
/// Events of messages that hold several: so many at most share a transaction, unless one message has more.
const EVENTS_TOGETHER: usize = 400;
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
            bus: bus.clone(),
            subscription,
            is_unsure: AtomicBool::new(false),
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
        let link = self.bus.consuming().await?;
        // Whatever was not settled on the channel before is delivered again.
        self.handling.is_unsure.store(false, Ordering::Relaxed);
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
        let mut waiting = tokio::time::timeout(PATIENCE, consuming)
            .await??
            .ready_chunks(TOGETHER);
        tracing::debug!(queue = self.handling.name, "consuming");
        backoff.reset();
        let retries = TaskTracker::new();
        // No more than `prefetch` is ever here; 0 is no limit.
        let full = match usize::from(self.bus.prefetch()) {
            0 => TOGETHER,
            prefetch => prefetch.min(TOGETHER),
        };
        let ended = loop {
            let next = tokio::select! {
                () = shutdown.cancelled() => break Ok(()),
                next = waiting.next() => next,
            };
            let began = Instant::now();
            let Some(next) = next else {
                break Err(BusError::Closed);
            };
            let mut fault = None;
            let messages: Vec<Message> = next
                .into_iter()
                .filter_map(|next| next.map_err(|lost| fault = Some(lost)).ok())
                .collect();
            let mut is_full = messages.len() == full;
            for share in shares(messages) {
                is_full |= events_in(&share) >= EVENTS_TOGETHER;
                self.handling.handle_all(share, &retries, shutdown).await;
            }
            if let Some(fault) = fault {
                break Err(fault.into());
            }
            if !is_full {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(pace::rest(began.elapsed())) => {}
                }
            }
        };
        if ended.is_ok() {
            let cancelling = link
                .channel
                .basic_cancel(TAG.into(), BasicCancelOptions::default());
            let _ = tokio::time::timeout(PATIENCE, cancelling).await;
        }
        retries.close();
        retries.wait().await;
        link.close().await;
        ended
    }
}

fn events_in(messages: &[Message]) -> usize {
    messages
        .iter()
        .map(|message| batch::count(&message.properties))
        .sum()
}

/// Messages in their order, by what shares a transaction.
fn shares(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let (mut shares, mut events) = (vec![Vec::new()], 0_usize);
    for message in messages {
        let count = batch::count(&message.properties);
        if events > 0 && events.saturating_add(count) > EVENTS_TOGETHER {
            shares.push(Vec::new());
            events = 0;
        }
        events = events.saturating_add(count);
        if let Some(share) = shares.last_mut() {
            share.push(message);
        }
    }
    shares
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
