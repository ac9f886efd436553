//! The workers of a process: for each lane, so many tasks at a time.

mod attempt;

use std::sync::Arc;
use std::time::Duration;

use event_bus::tasks::{TaskConsumer, TaskMessage};
use event_bus::{EventBus, Lane, task_queue};
use futures::future::join_all;
use postgres::Database;
use request_context::RequestContext;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use typed_id::TaskId;

use crate::kinds::Tasks;
use crate::measure;
use crate::storage::{self, Claim};
use attempt::Attempt;

/// A kind that this process does not know: one of a newer release, which has workers of its own.
const UNKNOWN_KIND: Duration = Duration::from_secs(30);
const PARKED_AFTER: Duration = Duration::from_mins(5);
/// Between two looks at a database that is away.
const DATABASE_PAUSE: Duration = Duration::from_millis(500);

/// How many tasks a process does at a time in each lane.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    pub high: u16,
    pub default: u16,
    pub low: u16,
    /// A process without a sign of life for this long has lost its tasks. It gives one three times as often.
    pub lease_seconds: u64,
}

impl WorkerSettings {
    fn concurrency(self, lane: Lane) -> u16 {
        match lane {
            Lane::High => self.high,
            Lane::Default => self.default,
            Lane::Low => self.low,
        }
    }
}

/// Does the tasks of a service. Any number of processes may.
pub struct Workers {
    shared: Shared,
    bus: EventBus,
    settings: WorkerSettings,
}

struct Shared {
    db: Database,
    tasks: Tasks,
    instance: String,
    lease: Duration,
    parked_after: Duration,
    shutdown: CancellationToken,
}

impl Workers {
    /// `instance` is this process's name in the record.
    pub fn new(
        db: Database,
        bus: EventBus,
        tasks: Tasks,
        instance: &str,
        settings: WorkerSettings,
        shutdown: CancellationToken,
    ) -> Self {
        let shared = Shared {
            db,
            tasks,
            instance: instance.to_owned(),
            lease: Duration::from_secs(settings.lease_seconds),
            parked_after: PARKED_AFTER,
            shutdown,
        };
        Self {
            shared,
            bus,
            settings,
        }
    }

    /// A message whose task takes longer is acknowledged while a copy waits, as the broker takes back after half an hour what is not:
    /// 5 minutes unless set.
    #[must_use]
    pub fn parked_after(mut self, limit: Duration) -> Self {
        self.shared.parked_after = limit;
        self
    }

    /// Runs until `shutdown`. Tasks that are under way are told to stop, and what they leave undone is given to others.
    ///
    /// # Panics
    /// When the service is not in `TASK_OWNERS`: a fault in the program, seen at its first start.
    #[expect(
        clippy::panic,
        reason = "a service that the topology does not know is a fault in the program"
    )]
    pub async fn run(self) {
        let shared = Arc::new(self.shared);
        let shutdown = shared.shutdown.clone();
        let workers = shared.tasks.lanes().map(|lane| {
            let Some(queue) = task_queue(self.bus.service(), lane) else {
                panic!("{} is not in TASK_OWNERS", self.bus.service())
            };
            let shared = Arc::clone(&shared);
            TaskConsumer::new(self.bus.clone(), queue, self.settings.concurrency(lane))
                .run(shutdown.clone(), move |message| {
                    Arc::clone(&shared).handle(lane, message)
                })
        });
        tokio::join!(
            join_all(workers),
            measure::depth(shared.db.clone(), shutdown.clone())
        );
    }
}

impl Shared {
    async fn handle(self: Arc<Self>, lane: Lane, message: TaskMessage) {
        let Some(envelope) = message.envelope() else {
            tracing::error!(
                lane = lane.as_str(),
                "a message is no task of ours; it goes to the dead letters"
            );
            return message.bury("no task of ours", 0).await;
        };
        let id = TaskId(envelope.id.0);
        let span = tracing::info_span!(
            "task", otel.kind = "consumer", otel.name = format!("{} process", envelope.event_type),
            messaging.system = "rabbitmq", messaging.destination.name = message.queue().name(),
            kind = envelope.event_type, task_id = %id, request_id = envelope.request_id.as_deref(),
        );
        let context =
            RequestContext::for_event(envelope.request_id.as_deref(), envelope.traceparent.as_deref());
        context.adopt(&span);
        let work = self.attend(lane, id, &envelope.event_type, &message);
        request_context::scope(context, work.instrument(span)).await;
    }

    /// Looks at the record and does what it says is to be done.
    async fn attend(&self, lane: Lane, id: TaskId, name: &str, message: &TaskMessage) {
        let Some(kind) = self.tasks.kind(lane, name) else {
            tracing::warn!("nobody here can do this task; it waits for a process that can");
            return message.come_again(UNKNOWN_KIND).await;
        };
        let claim = loop {
            match storage::claim(&self.db, id, &kind.policy, self.lease, &self.instance).await {
                Ok(claim) => break claim,
                // While the database is away the message waits, and nothing is counted.
                Err(fault) => {
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        "a task cannot be begun; waiting"
                    );
                    if !self.pause().await {
                        return;
                    }
                }
            }
        };
        match claim {
            Claim::Run { attempt, fencing } => {
                let attempt = Attempt {
                    shared: self,
                    kind,
                    id,
                    attempt,
                    fencing,
                };
                attempt.execute(message).await;
            }
            Claim::NotYet(wait) => {
                count(kind.name, "put_off");
                message.come_again(wait).await;
            }
            Claim::Duplicate => {
                count(kind.name, "duplicate");
                message.done().await;
            }
            Claim::Dead {
                attempts,
                reason,
                is_new,
            } => {
                if is_new {
                    tracing::error!(reason, "a task goes to the dead letters");
                    count(kind.name, "dead");
                }
                message.bury(&reason, attempts).await;
            }
            Claim::Unknown => {
                tracing::error!("a task that nobody enqueued goes to the dead letters");
                count(kind.name, "unknown");
                message.bury("not on record", 0).await;
            }
        }
    }

    /// False when the process stops.
    async fn pause(&self) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep(DATABASE_PAUSE) => true,
        }
    }
}

fn count(kind: &'static str, outcome: &'static str) {
    metrics::counter!("tasks_total", "kind" => kind, "outcome" => outcome).increment(1);
}
