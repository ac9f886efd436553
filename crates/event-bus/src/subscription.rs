//! What a consumer does with which event.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use contracts::Event;
use futures::future::{BoxFuture, ready};
use postgres::{WriteError, WriteTx};
use sqlx::error::DatabaseError;
use time::OffsetDateTime;
use typed_id::EventId;

use crate::envelope::Envelope;
use crate::topology::{QUEUES, Queue};

/// An event as its handler gets it.
#[derive(Debug, Clone)]
pub struct Delivery<E> {
    pub id: EventId,
    pub event: E,
    /// The aggregate's id.
    pub subject: String,
    pub occurred_at: OffsetDateTime,
}

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Trying again may help; after the last attempt the event goes to the dead-letter queue.
    #[error("{0}")]
    Transient(#[source] Box<dyn StdError + Send + Sync>),
    /// Trying again cannot help.
    #[error("{0}")]
    Poison(#[source] Box<dyn StdError + Send + Sync>),
}

impl From<sqlx::Error> for HandlerError {
    fn from(fault: sqlx::Error) -> Self {
        // Class 22: a value that PostgreSQL cannot hold, such as a text with U+0000. It will not do better next time.
        let code = fault.as_database_error().and_then(DatabaseError::code);
        if code.is_some_and(|code| code.starts_with("22")) {
            Self::Poison(Box::new(fault))
        } else {
            Self::Transient(Box::new(fault))
        }
    }
}

impl From<WriteError> for HandlerError {
    fn from(fault: WriteError) -> Self {
        Self::Transient(Box::new(fault))
    }
}

/// A message as it came: what it is, and its payload.
pub(crate) type Received = (Envelope, Arc<[u8]>);

pub(crate) type Effect =
    dyn for<'a> Fn(&'a mut WriteTx, Vec<Received>) -> BoxFuture<'a, Result<(), HandlerError>> + Send + Sync;

/// What is done with events of one type.
#[derive(Clone)]
pub(crate) struct Handler {
    pub effect: Arc<Effect>,
    /// It takes several at once; others are given one at a time.
    pub takes_many: bool,
}

/// A durable queue and what is done with its events.
pub struct Subscription {
    pub(crate) queue: &'static Queue,
    pub(crate) handlers: HashMap<&'static str, Handler>,
    pub(crate) attempts: i32,
    pub(crate) is_repeatable: bool,
}

const DEFAULT_ATTEMPTS: i32 = 10;

impl Subscription {
    /// The subscription of a queue in [`QUEUES`].
    ///
    /// # Panics
    /// When there is no such queue: a fault in the program, seen at its first start.
    #[expect(
        clippy::panic,
        reason = "a queue that the topology does not know is a fault in the program"
    )]
    pub fn new(service: &str, topic: &str) -> Self {
        let found = QUEUES
            .iter()
            .find(|queue| queue.service == service && queue.topic == topic);
        let Some(queue) = found else {
            panic!("{service}.{topic} is not in the topology")
        };
        Self {
            queue,
            handlers: HashMap::new(),
            attempts: DEFAULT_ATTEMPTS,
            is_repeatable: false,
        }
    }

    /// Handles events of type `E`: in one transaction with the record that it was done.
    #[must_use]
    pub fn on<E, F>(self, handler: F) -> Self
    where
        E: Event,
        F: for<'a> Fn(&'a mut WriteTx, Delivery<E>) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync
            + 'static,
    {
        self.insert::<E>(false, move |tx, received| {
            let delivery = received.into_iter().next().map(read);
            match delivery {
                Some(Ok(delivery)) => handler(tx, delivery),
                Some(Err(fault)) => Box::pin(ready(Err(fault))),
                None => Box::pin(ready(Ok(()))),
            }
        })
    }

    /// As [`Self::on`], for events that are better handled several at once, by a few statements for all of them. They come in their
    /// order, at least one; when one of them fails, each comes again on its own.
    #[must_use]
    pub fn on_all<E, F>(self, handler: F) -> Self
    where
        E: Event,
        F: for<'a> Fn(&'a mut WriteTx, Vec<Delivery<E>>) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync
            + 'static,
    {
        self.insert::<E>(true, move |tx, received| {
            match received.into_iter().map(read).collect() {
                Ok(deliveries) => handler(tx, deliveries),
                Err(fault) => Box::pin(ready(Err(fault))),
            }
        })
    }

    fn insert<E: Event>(
        mut self,
        takes_many: bool,
        effect: impl for<'a> Fn(&'a mut WriteTx, Vec<Received>) -> BoxFuture<'a, Result<(), HandlerError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let handler = Handler {
            effect: Arc::new(effect),
            takes_many,
        };
        self.handlers.insert(E::TYPE, handler);
        self
    }

    /// How often a failing event is tried before it goes to the dead-letter queue; 10 unless set.
    #[must_use]
    pub fn attempts(mut self, attempts: i32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Every handler changes nothing when it sees an event again, as what it writes is kept under the event's id, or under a version that
    /// only grows: its events need no inbox.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Event types of the queue that have no handler, which would be a fault in the program.
    pub fn unhandled(&self) -> Vec<&'static str> {
        self.queue
            .types
            .iter()
            .copied()
            .filter(|event_type| !self.handlers.contains_key(event_type))
            .collect()
    }
}

fn read<E: Event>((envelope, payload): Received) -> Result<Delivery<E>, HandlerError> {
    let event = serde_json::from_slice(&payload).map_err(|fault| HandlerError::Poison(Box::new(fault)))?;
    let Envelope {
        id,
        subject,
        occurred_at,
        ..
    } = envelope;
    Ok(Delivery {
        id,
        event,
        subject,
        occurred_at,
    })
}
