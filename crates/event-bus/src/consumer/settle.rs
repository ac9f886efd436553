//! What the broker is told of a message: that it is done with, that it is to come again after a pause, or that it is dead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use typed_id::EventId;

use super::handle::{Handling, Outcome};
use crate::connection::PATIENCE;
use crate::subscription::HandlerError;

/// Messages that are settled beside the others: unless they were, they must not be acknowledged with them.
pub(super) struct Pending(Option<Arc<Handling>>);

impl Pending {
    pub(super) fn of(handling: &Arc<Handling>) -> Self {
        Self(Some(Arc::clone(handling)))
    }

    pub(super) fn settled(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(handling) = &self.0 {
            handling.is_unsure.store(true, Ordering::Relaxed);
        }
    }
}

impl Handling {
    /// Tells the broker how it went.
    pub(super) async fn settle(
        self: &Arc<Self>,
        message: Message,
        id: EventId,
        event_type: &str,
        outcome: Result<Outcome, HandlerError>,
        retries: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        match outcome {
            Ok(outcome) => {
                self.count(event_type, outcome.as_str());
                ack(&message).await;
            }
            Err(HandlerError::Poison(fault)) => {
                self.bury(&message, id, event_type, fault.as_ref()).await;
            }
            Err(HandlerError::Transient(fault)) => {
                let attempts = self.record_failure(id, &fault.to_string(), false).await.ok();
                if attempts.is_some_and(|attempts| attempts >= self.subscription.attempts) {
                    return self.bury(&message, id, event_type, fault.as_ref()).await;
                }
                let attempt = attempts.unwrap_or(1);
                tracing::warn!(
                    attempt,
                    error = fault.as_ref() as &dyn std::error::Error,
                    "an event will be tried again"
                );
                self.count(event_type, "retried");
                // Beside the lane, so that the pause holds up nobody else.
                let (handling, shutdown) = (Arc::clone(self), shutdown.clone());
                let pending = Pending::of(self);
                retries.spawn(async move {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(pause_after(attempt)) => {}
                    }
                    handling.reject(&message, true).await;
                    pending.settled();
                });
            }
        }
    }

    pub(super) async fn bury_unknown(&self, message: &Message) {
        tracing::error!(
            queue = self.name,
            "a message is no event of ours; it goes to the dead-letter queue"
        );
        self.count("unknown", "dead");
        self.reject(message, false).await;
    }

    async fn bury(
        &self,
        message: &Message,
        id: EventId,
        event_type: &str,
        fault: &(dyn std::error::Error + Send + Sync + 'static),
    ) {
        tracing::error!(
            error = fault as &dyn std::error::Error,
            "an event goes to the dead-letter queue"
        );
        self.count(event_type, "dead");
        if let Err(fault) = self.record_failure(id, &fault.to_string(), true).await {
            tracing::warn!(error = &fault as &dyn std::error::Error, "why is not on record");
        }
        self.reject(message, false).await;
    }

    /// Rejects, as from RabbitMQ 4.3 on `nack` is not counted.
    async fn reject(&self, message: &Message, requeue: bool) {
        let rejecting = message.acker.reject(BasicRejectOptions { requeue });
        if !said("rejection", rejecting).await {
            self.is_unsure.store(true, Ordering::Relaxed);
        }
    }

    /// Counts a failed attempt and gives the count.
    pub(super) async fn record_failure(
        &self,
        id: EventId,
        said: &str,
        dead: bool,
    ) -> Result<i32, sqlx::Error> {
        let statement = format!(
            "INSERT INTO {0}.inbox_failures AS f (consumer, event_id, attempts, last_error, dead)
             VALUES ($1, $2, 1, $3, $4)
             ON CONFLICT (consumer, event_id) DO UPDATE
             SET attempts = f.attempts + CASE WHEN $4 THEN 0 ELSE 1 END, last_error = $3, dead = $4,
                 failed_at = clock_timestamp()
             RETURNING attempts",
            self.db.schema()
        );
        sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(&self.name)
            .bind(id)
            .bind(said)
            .bind(dead)
            .fetch_one(self.db.primary())
            .await
    }
}

/// 200 ms, doubling, at most 5 s.
fn pause_after(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1))
        .unwrap_or_default()
        .min(5);
    (Duration::from_millis(200) * 2_u32.pow(doublings)).min(Duration::from_secs(5))
}

/// A failed acknowledgement means a broken channel; the broker delivers again and the inbox knows the event.
pub(super) async fn ack(message: &Message) -> bool {
    said("acknowledgement", message.acker.ack(BasicAckOptions::default())).await
}

/// The same for all that were delivered before it on its channel and are not settled.
pub(super) async fn ack_until(message: &Message) -> bool {
    let options = BasicAckOptions { multiple: true };
    said("acknowledgement", message.acker.ack(options)).await
}

/// Whether the broker was told. On a connection that breaks at this moment lapin may wait for ever.
async fn said(what: &str, telling: impl Future<Output = lapin::Result<bool>>) -> bool {
    let fault = match tokio::time::timeout(PATIENCE, telling).await {
        Ok(Ok(_)) => return true,
        Ok(Err(fault)) => fault.to_string(),
        Err(late) => late.to_string(),
    };
    tracing::debug!(what, error = fault, "the broker was not told");
    false
}
