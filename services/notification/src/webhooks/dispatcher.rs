//! Takes webhooks in turn, posts what is due for each, records how it went. One webhook is in one hand at a time, whatever the number of
//! processes, and a slow one costs only the hand that holds it.

use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use contracts::events::v1::WebhookChanged;
use event_bus::{HandlerError, outbox};
use postgres::WriteTx;
use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::courier::{Courier, Parcel};
use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Recipient, Values};
use crate::domain::webhook::{self, Outcome, Secret};
use crate::storage::users;
use crate::storage::webhook_deliveries::{self as deliveries, Due};
use crate::storage::webhooks::{self, Turn, Webhook};
use crate::usecases::ChangeError;
use crate::usecases::deliver::{Letter, deliver};
use crate::usecases::tell::Message;

/// A turn ends after so long or so many, so that others have theirs; the attempt that is under way then is finished.
const TURN: StdDuration = StdDuration::from_secs(5);
const TURN_DELIVERIES: usize = 50;
/// Longer than a turn with its last attempt; after a crash a webhook is free again by then.
const LEASE: Duration = Duration::minutes(1);
/// How long something due may wait when nobody wakes us, as when another process queued it.
const POLL: StdDuration = StdDuration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("the queue cannot be used")]
    Database(#[from] sqlx::Error),
    #[error("an attempt cannot be recorded")]
    Change(#[from] ChangeError),
}

#[derive(Clone)]
pub struct Dispatcher {
    app: Arc<Notification>,
    courier: Courier,
    hands: Arc<Semaphore>,
}

impl Dispatcher {
    pub fn new(app: Arc<Notification>, courier: Courier, concurrency: u16) -> Self {
        Self {
            app,
            courier,
            hands: Arc::new(Semaphore::new(usize::from(concurrency))),
        }
    }

    /// Runs until `shutdown`; attempts that are under way are finished.
    pub async fn run(self, shutdown: CancellationToken) {
        let turns = TaskTracker::new();
        while !shutdown.is_cancelled() {
            let hand = tokio::select! {
                () = shutdown.cancelled() => break,
                hand = Arc::clone(&self.hands).acquire_owned() => hand,
            };
            // Closed never: it lives as long as this.
            let Ok(hand) = hand else { break };
            match self.take().await {
                Ok(Some(turn)) => {
                    let (dispatcher, shutdown) = (self.clone(), shutdown.clone());
                    turns.spawn(async move {
                        dispatcher.serve(turn, &shutdown).await;
                        drop(hand);
                        // There may be more for it.
                        dispatcher.app.wake_dispatcher.notify_one();
                    });
                }
                Ok(None) => self.idle(&shutdown).await,
                Err(fault) => {
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        "the queue of webhooks cannot be read"
                    );
                    self.idle(&shutdown).await;
                }
            }
        }
        turns.close();
        turns.wait().await;
    }

    async fn idle(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.app.wake_dispatcher.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    async fn take(&self) -> Result<Option<Turn>, sqlx::Error> {
        webhooks::take_turn(self.app.db.primary(), LEASE, self.app.clock.now()).await
    }

    /// One webhook's turn; whether there was one.
    #[cfg(test)]
    pub async fn turn(&self) -> bool {
        let turn = self.take().await.unwrap();
        let is_some = turn.is_some();
        if let Some(turn) = turn {
            self.serve(turn, &CancellationToken::new()).await;
        }
        is_some
    }

    async fn serve(&self, turn: Turn, shutdown: &CancellationToken) {
        let id = turn.id;
        let rest = match self.post_due(turn, shutdown).await {
            Ok(rest) => rest,
            Err(fault) => {
                tracing::warn!(webhook_id = %id, error = &fault as &dyn std::error::Error, "a webhook has to wait");
                webhook::rest(i32::MAX)
            }
        };
        let at = self.app.clock.now() + rest;
        if let Err(fault) = webhooks::end_turn(self.app.db.primary(), id, at).await {
            // It is free again when the lease is over.
            tracing::debug!(error = &fault as &dyn std::error::Error, "a turn was not ended");
        }
    }

    /// Posts what is due, up to the first failure; how long the webhook is then left alone.
    async fn post_due(&self, turn: Turn, shutdown: &CancellationToken) -> Result<Duration, DispatchError> {
        let app = &self.app;
        let Some(secrets) = self.open(&turn) else {
            return Ok(webhook::rest(i32::MAX));
        };
        let begun = Instant::now();
        for _ in 0..TURN_DELIVERIES {
            if shutdown.is_cancelled() || begun.elapsed() > TURN {
                break;
            }
            let due = deliveries::next_due(app.db.primary(), turn.id, &turn.url, app.clock.now()).await?;
            let Some(due) = due else { break };
            let outcome = self.post(&turn, &secrets, &due).await;
            let is_taken = outcome.is_taken();
            let failures = self.record(&turn, due, outcome).await?;
            if !is_taken {
                return Ok(webhook::rest(failures));
            }
        }
        Ok(Duration::ZERO)
    }

    fn open(&self, turn: &Turn) -> Option<Vec<Secret>> {
        let owner = turn.id.to_string();
        let opened: Result<Vec<Secret>, _> = (turn.secrets.iter())
            .map(|stored| self.app.sealer.open(&owner, stored).map(Secret::from_bytes))
            .collect();
        opened
            .inspect_err(|fault| {
                tracing::error!(webhook_id = %turn.id, error = fault as &dyn std::error::Error, "a secret does not open");
            })
            .ok()
    }

    async fn post(&self, turn: &Turn, secrets: &[Secret], due: &Due) -> Outcome {
        let (id, timestamp) = (due.message_id.to_string(), self.app.clock.now().unix_timestamp());
        let signatures = webhook::signatures(secrets, &id, timestamp, &due.body);
        let parcel = Parcel {
            url: &turn.url,
            id: &id,
            timestamp,
            signatures: &signatures,
            body: &due.body,
        };
        let outcome = self.courier.post(parcel).await;
        metrics::histogram!("webhook_attempt_seconds").record(outcome.took.as_secs_f64());
        outcome
    }

    /// Writes down how an attempt went, and turns the webhook off when that was enough. Failures in a row.
    async fn record(&self, turn: &Turn, due: Due, outcome: Outcome) -> Result<i32, ChangeError> {
        let (app, id, url) = (Arc::clone(&self.app), turn.id, turn.url.clone());
        let written = self.app.db.write(move |mut tx| async move {
            let now = tx.clock().now();
            let has_moved = webhooks::lock_url(&mut *tx, id).await?.is_some_and(|now_at| now_at != url);
            if has_moved && !outcome.is_taken() {
                // That the old address did not take it says nothing of the new one, which has all its tries.
                return Ok(tx.rollback(0).await?);
            }
            let next = webhook::next_attempt(due.attempts + 1, due.queued_at, outcome.retry_after, now)
                .filter(|_| !outcome.is_taken() && !outcome.is_gone());
            let mut failures = 0;
            if outcome.is_taken() {
                webhooks::record_success(&mut *tx, id, now).await?;
            } else if let Some(failing) = webhooks::record_failure(&mut *tx, id, now).await? {
                failures = failing.failures;
                let reason = if outcome.is_gone() {
                    Some("gone")
                } else {
                    webhook::is_lost(failing.failures, failing.since, now).then_some("failing")
                };
                if let Some(reason) = reason
                    && let Some(lost) = webhooks::disable(&mut *tx, id, reason, now).await?
                {
                    tell_admins(&app, &mut tx, lost, now).await?;
                }
            }
            // After the webhook's row, which whoever removes it has first as well.
            deliveries::record(&mut *tx, &due, &outcome, next, now).await?;
            let word = match (outcome.is_taken(), next) {
                (true, _) => "delivered",
                (false, Some(_)) => "retried",
                (false, None) => "given_up",
            };
            if !outcome.is_taken() {
                tracing::info!(
                    webhook_id = %id, delivery_id = %due.id, event_type = due.event_type, status = outcome.status,
                    fault = outcome.error, given_up = next.is_none(), "a webhook did not take an event"
                );
            }
            tx.after_commit(move || metrics::counter!("webhook_attempts_total", "outcome" => word).increment(1));
            Ok::<_, ChangeError>(tx.commit(failures).await?)
        });
        written.await
    }
}

/// By mail and in the inbox, and for the log of what was done.
async fn tell_admins(
    app: &Notification,
    tx: &mut WriteTx,
    lost: Webhook,
    now: OffsetDateTime,
) -> Result<(), HandlerError> {
    tracing::warn!(webhook_id = %lost.id, reason = lost.disabled_reason, "a webhook was turned off");
    let changed = WebhookChanged {
        webhook_id: lost.id.into(),
        change: "disabled".into(),
        actor_id: String::new(),
        impersonator_id: String::new(),
        url: lost.url.clone(),
    };
    let event = outbox::append(tx, &changed).await?;
    let since = lost.failing_since.unwrap_or(now);
    let message = Message {
        mail: Some(MailKind::WebhookDisabled),
        notification: Some(NotificationKind::WebhookDisabled),
        values: Values {
            address: lost.url,
            happened_at: crate::usecases::tell::moment(Some(&contracts::timestamp(since))),
            ..Values::default()
        },
        link: String::new(),
        path: format!("/webhooks/{}", lost.id),
    };
    let admins = users::admins_and(&mut **tx, lost.created_by).await?;
    let letters = admins.into_iter().map(|admin| Letter {
        event,
        to: Recipient::from(admin),
        message: message.clone(),
    });
    deliver(app, tx, letters.collect()).await?;
    tx.after_commit(|| metrics::counter!("webhooks_disabled_total").increment(1));
    Ok(())
}
