//! Every durable queue there is, with what it listens to. Whoever connects declares all of it, so that an event that is published
//! before its consumer was ever started waits for it.

mod tasks;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

pub(crate) use tasks::wait_exchange;
pub use tasks::{Lane, TASK_EXCHANGE, TASK_OWNERS, task_queue, task_queues};

const PASSING_MILLIS: i32 = 60_000;

/// The topic exchange of all events.
pub const EXCHANGE: &str = "sc.events";
/// The direct exchange of what could not be handled.
pub const DEAD_EXCHANGE: &str = "sc.dead";

/// A durable queue `<service>.<topic>`.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    pub service: &'static str,
    pub topic: &'static str,
    /// Event types it is bound to.
    pub types: &'static [&'static str],
}

pub const QUEUES: &[Queue] = &[
    Queue {
        service: "catalog",
        topic: "users",
        types: &["user.registered", "user.updated"],
    },
    Queue {
        service: "enrollment",
        topic: "users",
        types: &["user.registered", "user.updated"],
    },
    Queue {
        service: "enrollment",
        topic: "courses",
        types: &["course.changed"],
    },
    Queue {
        service: "enrollment",
        topic: "progress",
        types: &["progress.course_completed"],
    },
    Queue {
        service: "notification",
        topic: "users",
        types: &["user.registered", "user.updated"],
    },
    Queue {
        service: "notification",
        topic: "accounts",
        types: &[
            "user.verification_requested",
            "user.password_reset_requested",
            "user.email_change_requested",
            "user.registration_repeated",
            "user.security_changed",
        ],
    },
    Queue {
        service: "notification",
        topic: "enrollments",
        types: &["enrollment.created", "enrollment.status_changed"],
    },
    Queue {
        service: "video-progress",
        topic: "users",
        types: &["user.registered", "user.updated"],
    },
    Queue {
        service: "video-progress",
        topic: "courses",
        types: &["course.changed"],
    },
    Queue {
        service: "video-progress",
        topic: "enrollments",
        types: &["enrollment.created", "enrollment.status_changed"],
    },
    Queue {
        service: "exam",
        topic: "users",
        types: &["user.registered", "user.updated"],
    },
    Queue {
        service: "exam",
        topic: "courses",
        types: &["course.changed"],
    },
    Queue {
        service: "exam",
        topic: "enrollments",
        types: &["enrollment.created", "enrollment.status_changed"],
    },
    Queue {
        service: "video-progress",
        topic: "videos",
        types: &["video.changed"],
    },
    Queue {
        service: "catalog",
        topic: "video-metadata",
        types: &["video.metadata_fetched"],
    },
    Queue {
        service: "notification",
        topic: "learning",
        types: &["progress.course_completed", "exam.attempt_graded"],
    },
    Queue {
        service: "notification",
        topic: "courses",
        types: &["course.changed"],
    },
    // Who is in a course; apart from `enrollments`, which tells people of it and may wait for auth.
    Queue {
        service: "notification",
        topic: "members",
        types: &["enrollment.created", "enrollment.status_changed"],
    },
    // What institutions may be told of; `services/notification/src/domain/webhook.rs` says the same.
    Queue {
        service: "notification",
        topic: "webhooks",
        types: &[
            "user.registered",
            "user.updated",
            "user.erased",
            "course.changed",
            "enrollment.created",
            "enrollment.status_changed",
            "progress.video_completed",
            "progress.course_completed",
            "exam.attempt_submitted",
            "exam.attempt_graded",
        ],
    },
    Queue {
        service: "catalog",
        topic: "erasures",
        types: &["user.erased"],
    },
    Queue {
        service: "enrollment",
        topic: "erasures",
        types: &["user.erased"],
    },
    Queue {
        service: "video-progress",
        topic: "erasures",
        types: &["user.erased"],
    },
    Queue {
        service: "exam",
        topic: "erasures",
        types: &["user.erased"],
    },
    Queue {
        service: "notification",
        topic: "erasures",
        types: &["user.erased"],
    },
    Queue {
        service: "reporting",
        topic: "users",
        types: &["user.registered", "user.updated"],
    },
    Queue {
        service: "reporting",
        topic: "courses",
        types: &["course.changed"],
    },
    Queue {
        service: "reporting",
        topic: "enrollments",
        types: &["enrollment.created", "enrollment.status_changed"],
    },
    // What happened; apart from the projections, which others wait for.
    Queue {
        service: "reporting",
        topic: "activity",
        types: &[
            "user.registered",
            "user.updated",
            "course.changed",
            "video.changed",
            "enrollment.created",
            "enrollment.status_changed",
            "progress.video_completed",
            "progress.course_completed",
            "exam.attempt_submitted",
            "exam.attempt_graded",
        ],
    },
    Queue {
        service: "reporting",
        topic: "erasures",
        types: &["user.erased"],
    },
    Queue {
        service: "notification",
        topic: "reports",
        types: &["report.weekly_summary_made"],
    },
    Queue {
        service: "auth",
        topic: "erasures",
        types: &["user.data_erased"],
    },
];

/// How often the broker delivers a message before it gives up by itself. Our own count comes first; this ends crash loops.
const DELIVERY_LIMIT: i64 = 50;

impl Queue {
    pub fn name(&self) -> String {
        format!("{}.{}", self.service, self.topic)
    }

    /// The schema with the inbox of its consumer.
    pub fn schema(&self) -> String {
        self.service.replace('-', "_")
    }

    pub fn dead_name(&self) -> String {
        format!("{}.dead", self.name())
    }

    /// Whether it holds tasks; then no event type leads to it.
    pub fn has_tasks(&self) -> bool {
        self.types.is_empty()
    }

    /// All there are: those of events, then those of tasks.
    pub fn all() -> impl Iterator<Item = Self> {
        QUEUES.iter().copied().chain(task_queues())
    }
}

/// Whether an event of this type has to reach a queue. One that nobody keeps may be dropped by the broker.
pub(crate) fn has_queue(event_type: &str) -> bool {
    QUEUES.iter().any(|queue| queue.types.contains(&event_type))
}

/// Declares exchanges, queues and bindings; what exists stays.
pub(crate) async fn declare(channel: &Channel, service: &str) -> Result<(), lapin::Error> {
    exchange(channel, EXCHANGE, ExchangeKind::Topic).await?;
    exchange(channel, DEAD_EXCHANGE, ExchangeKind::Direct).await?;
    for queue in QUEUES {
        declare_queue(channel, queue).await?;
        for event_type in queue.types {
            bind(channel, &queue.name(), EXCHANGE, event_type).await?;
        }
    }
    tasks::declare(channel, service).await
}

/// A queue and the one of its dead letters.
async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), lapin::Error> {
    let (name, dead) = (queue.name(), queue.dead_name());
    channel
        .queue_declare(dead.as_str().into(), QueueDeclareOptions::durable(), quorum())
        .await?;
    bind(channel, &dead, DEAD_EXCHANGE, &name).await?;
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments.insert("x-dead-letter-routing-key".into(), text(&name));
    dead_letters_to(&mut arguments, DEAD_EXCHANGE);
    channel
        .queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments)
        .await?;
    Ok(())
}

fn dead_letters_to(arguments: &mut FieldTable, exchange: &str) {
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    // The default strategy may lose a message on its way; this one needs reject-publish.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), lapin::Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, durable, FieldTable::default())
        .await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// Of a queue that is gone a minute after the last who listened to it.
pub(crate) fn passing() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(PASSING_MILLIS));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_listens_to_events_that_exist() {
        for queue in QUEUES {
            for event_type in queue.types {
                assert!(
                    contracts::EVENT_TYPES.contains(event_type),
                    "{} listens to {event_type}",
                    queue.name()
                );
            }
        }
    }
}
