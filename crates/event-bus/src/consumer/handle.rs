//! A message: its effect and the record of it in one transaction, then the acknowledgement ([`super::settle`]). Those that wait are
//! handled together ([`super::together`]); what came again or failed is handled on its own, in order for each subject, others not held
//! up by it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use lapin::message::Delivery as Message;
use postgres::{Database, WriteTx, is_away};
use request_context::RequestContext;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};
use typed_id::EventId;

use super::settle::{Pending, ack};
use crate::batch;
use crate::connection::EventBus;
use crate::envelope::Envelope;
use crate::subscription::{Effect, Handler, HandlerError, Subscription};

/// Events of one subject that are handled on their own go through the same lane.
const LANES: usize = 8;
/// So often the database may answer a ping and yet say that it is away; then it is the event's fault.
const DATABASE_PATIENCE: i32 = 60;
/// So many of a batch may fail before each is handled on its own.
const FAULTS_TOGETHER: usize = 8;

pub struct Handling {
    pub db: Database,
    /// Of the queue, and of this consumer in the inbox.
    pub name: String,
    pub bus: EventBus,
    pub subscription: Subscription,
    /// A rejection may not have arrived: to acknowledge others with it would take it back.
    pub is_unsure: AtomicBool,
}

pub(super) enum Outcome {
    Done,
    Duplicate,
}

impl Outcome {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
        }
    }
}

impl Handling {
    /// Messages in their order.
    pub async fn handle_all(
        self: &Arc<Self>,
        messages: Vec<Message>,
        retries: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        // What is delivered again may have failed before, and would fail the others with it, or hold them up.
        let (again, mut new): (Vec<Message>, Vec<Message>) =
            messages.into_iter().partition(|message| message.redelivered);
        if !again.is_empty() {
            let (handling, beside, shutdown) = (Arc::clone(self), retries.clone(), shutdown.clone());
            let pending = Pending::of(self);
            retries.spawn(async move {
                handling.handle_each(again, &beside, &shutdown).await;
                pending.settled();
            });
        }
        for _ in 0..FAULTS_TOGETHER {
            // Nothing else that was delivered still waits to be settled. What is given up at a shutdown does: that is asked for after it.
            let are_all = retries.is_empty() && !self.is_unsure.load(Ordering::Relaxed);
            let is_worth_it = new.len() > 1 || new.iter().any(is_batch);
            if !is_worth_it || shutdown.is_cancelled() {
                break;
            }
            let Some(fault) = self.together(&mut new, are_all).await else {
                break;
            };
            let message = new.remove(fault.at);
            if is_batch(&message) {
                self.handle_events(message, Some(fault), retries, shutdown).await;
            } else if let Some(envelope) = Envelope::read(&message.properties) {
                // That was its try. The others go on without it.
                let failed = Err(fault.fault);
                self.settle(
                    message,
                    envelope.id,
                    &envelope.event_type,
                    failed,
                    retries,
                    shutdown,
                )
                .await;
            }
        }
        self.handle_each(new, retries, shutdown).await;
    }

    /// Each in a transaction of its own; those of one subject one after the other.
    async fn handle_each(
        self: &Arc<Self>,
        messages: Vec<Message>,
        retries: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let mut lanes: [Vec<Message>; LANES] = Default::default();
        // One with events of several subjects has no lane of its own. Of what comes again the order is lost already.
        let is_one_lane = messages
            .iter()
            .any(|message| is_batch(message) && !message.redelivered);
        for message in messages {
            let lane = if is_one_lane { 0 } else { lane_of(&message) };
            lanes[lane].push(message);
        }
        let lanes = lanes.into_iter().map(|lane| async move {
            for message in lane {
                // Not acknowledged, the broker gives it to another.
                if !shutdown.is_cancelled() {
                    self.handle(message, retries, shutdown).await;
                }
            }
        });
        join_all(lanes).await;
    }

    pub(super) fn context_of(&self, envelope: &Envelope) -> (RequestContext, Span) {
        let span = tracing::info_span!(
            "consume", otel.kind = "consumer", otel.name = format!("{} process", self.name),
            messaging.system = "rabbitmq", messaging.destination.name = self.name,
            event_type = envelope.event_type, event_id = %envelope.id,
            request_id = envelope.request_id.as_deref(),
        );
        let context =
            RequestContext::for_event(envelope.request_id.as_deref(), envelope.traceparent.as_deref());
        context.adopt(&span);
        (context, span)
    }

    async fn handle(self: &Arc<Self>, message: Message, retries: &TaskTracker, shutdown: &CancellationToken) {
        if is_batch(&message) {
            return self.handle_batch(message, retries, shutdown).await;
        }
        let Some(envelope) = Envelope::read(&message.properties) else {
            return self.bury_unknown(&message).await;
        };
        let Some(handler) = self.subscription.handlers.get(envelope.event_type.as_str()) else {
            tracing::debug!(
                queue = self.name,
                event_type = envelope.event_type,
                "nobody handles this event"
            );
            ack(&message).await;
            return;
        };
        let (context, span) = self.context_of(&envelope);
        let payload: Arc<[u8]> = message.data.as_slice().into();
        let work = self.work(message, envelope, handler.clone(), payload, retries, shutdown);
        request_context::scope(context, work.instrument(span)).await;
    }

    async fn work(
        self: &Arc<Self>,
        message: Message,
        envelope: Envelope,
        handler: Handler,
        payload: Arc<[u8]>,
        retries: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let (id, event_type) = (envelope.id, envelope.event_type.clone());
        let processing = self.process_patiently(envelope, &handler.effect, payload, shutdown);
        if let Some(outcome) = processing.await {
            self.settle(message, id, &event_type, outcome, retries, shutdown)
                .await;
        }
    }

    /// While the database is away the event waits, and nothing is counted; `None` when the process stops first.
    pub(super) async fn process_patiently(
        self: &Arc<Self>,
        envelope: Envelope,
        effect: &Arc<Effect>,
        payload: Arc<[u8]>,
        shutdown: &CancellationToken,
    ) -> Option<Result<Outcome, HandlerError>> {
        let started = Instant::now();
        let mut patience = DATABASE_PATIENCE;
        let outcome = loop {
            match self
                .process(envelope.clone(), Arc::clone(effect), payload.clone())
                .await
            {
                Err(HandlerError::Transient(fault))
                    if !self.db.ping().await || (is_away(fault.as_ref()) && patience > 0) =>
                {
                    patience -= i32::from(self.db.ping().await);
                    tracing::warn!(
                        error = fault.as_ref() as &dyn std::error::Error,
                        "the database is away; waiting"
                    );
                    if !self.database_is_back(shutdown).await {
                        return None;
                    }
                }
                outcome => break outcome,
            }
        };
        metrics::histogram!("consumer_seconds", "consumer" => self.name.clone()).record(started.elapsed());
        Some(outcome)
    }

    /// The inbox row, unless none is needed, and the effect, in one transaction.
    async fn process(
        self: &Arc<Self>,
        envelope: Envelope,
        effect: Arc<Effect>,
        payload: Arc<[u8]>,
    ) -> Result<Outcome, HandlerError> {
        let (consumer, is_repeatable) = (self.name.clone(), self.subscription.is_repeatable);
        self.db
            .write(move |mut tx| async move {
                if !is_repeatable && !enter(&mut tx, &consumer, envelope.id).await? {
                    return Ok(tx.rollback(Outcome::Duplicate).await?);
                }
                effect(&mut tx, vec![(envelope, payload)]).await?;
                Ok::<_, HandlerError>(tx.commit(Outcome::Done).await?)
            })
            .await
    }

    /// Waits for the database; false when the process stops first.
    async fn database_is_back(&self, shutdown: &CancellationToken) -> bool {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
            if self.db.ping().await {
                return true;
            }
        }
    }

    pub(super) fn count(&self, event_type: &str, outcome: &'static str) {
        let (consumer, event_type) = (self.name.clone(), event_type.to_owned());
        metrics::counter!("consumer_events_total", "consumer" => consumer, "type" => event_type, "outcome" => outcome)
            .increment(1);
    }
}

/// Records that the event is being handled; false when it was before.
async fn enter(tx: &mut WriteTx, consumer: &str, id: EventId) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "INSERT INTO {}.inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        tx.schema()
    );
    let done = sqlx::query(AssertSqlSafe(statement))
        .bind(consumer)
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) fn is_batch(message: &Message) -> bool {
    batch::is_batch(&message.properties)
}

fn lane_of(message: &Message) -> usize {
    let mut hasher = DefaultHasher::new();
    Envelope::read(&message.properties)
        .map(|envelope| envelope.subject)
        .hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
}
