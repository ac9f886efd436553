//! Every durable queue there is, with what it listens to. Whoever connects declares all of it, so that an event that is published
//! before its consumer was ever started waits for it.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

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
            "user.registration_repeated",
            "user.security_changed",
        ],
    },
    Queue {
        service: "notification",
        topic: "enrollments",
        types: &["enrollment.created"],
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
}

/// Whether an event of this type has to reach a queue. One that nobody keeps may be dropped by the broker.
pub(crate) fn has_queue(event_type: &str) -> bool {
    QUEUES.iter().any(|queue| queue.types.contains(&event_type))
}

/// Declares exchanges, queues and bindings; what exists stays.
pub(crate) async fn declare(channel: &Channel) -> Result<(), lapin::Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            EXCHANGE.into(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        )
        .await?;
    channel
        .exchange_declare(
            DEAD_EXCHANGE.into(),
            ExchangeKind::Direct,
            durable,
            FieldTable::default(),
        )
        .await?;
    for queue in QUEUES {
        let (name, dead) = (queue.name(), queue.dead_name());
        channel
            .queue_declare(dead.as_str().into(), QueueDeclareOptions::durable(), quorum())
            .await?;
        bind(channel, &dead, DEAD_EXCHANGE, &name).await?;
        let mut arguments = quorum();
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
        arguments.insert("x-dead-letter-exchange".into(), text(DEAD_EXCHANGE));
        arguments.insert("x-dead-letter-routing-key".into(), text(&name));
        // The default strategy may lose a message on its way to the dead-letter queue; this one needs reject-publish.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        channel
            .queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments)
            .await?;
        for event_type in queue.types {
            bind(channel, &name, EXCHANGE, event_type).await?;
        }
    }
    Ok(())
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
