//! Events: all that this product knows of RabbitMQ. Transactional outbox on one side, inbox on the other; see docs/EVENTS.md.

mod broadcast;
mod connection;
mod consumer;
mod envelope;
pub mod outbox;
mod subscription;
mod topology;

pub use connection::{BusError, BusSettings, EventBus};
pub use consumer::Consumer;
pub use outbox::relay::Relay;
pub use subscription::{Delivery, HandlerError, Subscription};
pub use topology::{DEAD_EXCHANGE, EXCHANGE, QUEUES, Queue};
