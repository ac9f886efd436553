//! Events, and the way of tasks: all that this product knows of RabbitMQ. Transactional outbox on one side, inbox on the other; see
//! docs/EVENTS.md.

mod batch;
mod broadcast;
mod connection;
mod consumer;
pub mod dead_letters;
mod envelope;
pub mod outbox;
mod pace;
mod subscription;
mod tail;
pub mod tasks;
mod topology;

pub use connection::{BusError, BusSettings, EventBus};
pub use consumer::{Consumer, purge_inbox};
pub use dead_letters::DeadLetters;
pub use envelope::Envelope;
pub use outbox::relay::Relay;
pub use subscription::{Delivery, HandlerError, Subscription};
pub use topology::{DEAD_EXCHANGE, EXCHANGE, Lane, QUEUES, Queue, TASK_OWNERS, task_queue, task_queues};
