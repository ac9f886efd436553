//! A message with several events that could not be handled as one: they are handled one by one, and those that fail become messages of
//! their own, which are tried, counted and buried by themselves.

use std::sync::Arc;

use futures::future::try_join_all;
use lapin::message::Delivery as Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use typed_id::EventId;

use super::handle::Handling;
use super::settle::{Pending, ack};
use super::together::Fault;
use crate::batch::{self, Event};
use crate::connection::{Backoff, BusError, hand_over};
use crate::subscription::HandlerError;

/// A message that was given back so often may end its process each time.
const SUSPECT: i64 = 2;

impl Handling {
    /// Without the messages that it came with: it may be another one's fault that they failed.
    pub(super) async fn handle_batch(
        self: &Arc<Self>,
        message: Message,
        retries: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let is_suspect = batch::returns(&message) >= SUSPECT;
        let (mut alone, mut failed) = (vec![message], None);
        if !is_suspect {
            failed = self.together(&mut alone, false).await;
        }
        if let Some(message) = alone.pop() {
            self.handle_events(message, failed, retries, shutdown).await;
        }
    }

    /// One by one; `failed` had its try.
    pub(super) async fn handle_events(
        self: &Arc<Self>,
        message: Message,
        failed: Option<Fault>,
        retries: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let Some(events) = batch::events_of(&message) else {
            return self.bury_unknown(&message).await;
        };
        let is_suspect = batch::returns(&message) >= SUSPECT;
        let (mut apart, mut failed) = (Vec::new(), failed);
        for event in events {
            if shutdown.is_cancelled() {
                return;
            }
            let id = event.envelope.id;
            let is_done = match failed.take_if(|failed| failed.event == id) {
                Some(failed) => {
                    self.record_try(id, &event.envelope.event_type, &failed.fault)
                        .await;
                    false
                }
                None => !is_suspect && self.handle_event(&event, shutdown).await,
            };
            if !is_done {
                apart.push(id);
            }
        }
        if apart.is_empty() {
            ack(&message).await;
            return;
        }
        // Beside the others, as the broker may not take it at once.
        let (handling, shutdown) = (Arc::clone(self), shutdown.clone());
        let pending = Pending::of(self);
        retries.spawn(async move {
            if handling.set_apart(&message, &apart, &shutdown).await {
                ack(&message).await;
                pending.settled();
            }
        });
    }

    /// Whether its effect is there now. That it is not is a try.
    async fn handle_event(self: &Arc<Self>, event: &Event<'_>, shutdown: &CancellationToken) -> bool {
        let (envelope, payload) = (event.envelope.clone(), event.payload.into());
        let (id, event_type) = (envelope.id, envelope.event_type.clone());
        let Some(handler) = self.subscription.handlers.get(event_type.as_str()) else {
            return true;
        };
        let (context, span) = self.context_of(&envelope);
        let effect = Arc::clone(&handler.effect);
        let work = self.process_patiently(envelope, &effect, payload, shutdown);
        match request_context::scope(context, tracing::Instrument::instrument(work, span)).await {
            None => false,
            Some(Ok(outcome)) => {
                self.count(&event_type, outcome.as_str());
                true
            }
            Some(Err(fault)) => {
                self.record_try(id, &event_type, &fault).await;
                false
            }
        }
    }

    /// What cannot be read is buried once it is alone.
    async fn record_try(&self, id: EventId, event_type: &str, fault: &HandlerError) {
        let HandlerError::Transient(said) = fault else {
            return;
        };
        self.count(event_type, "retried");
        if let Err(fault) = self.record_failure(id, &said.to_string(), false).await {
            tracing::warn!(error = &fault as &dyn std::error::Error, "a try is not on record");
        }
    }

    /// Puts these events of a message at the end of the queue, one by one, however long that takes; false when the process stops first.
    /// After a crash in between they are there twice, and have their effect once.
    async fn set_apart(&self, message: &Message, ids: &[EventId], shutdown: &CancellationToken) -> bool {
        let events: Vec<Event<'_>> = batch::events_of(message)
            .into_iter()
            .flatten()
            .filter(|event| ids.contains(&event.envelope.id))
            .collect();
        let mut backoff = Backoff::default();
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return false,
                outcome = self.put_back(&events) => outcome,
            };
            let Err(fault) = outcome else {
                return true;
            };
            let pause = backoff.next();
            tracing::warn!(
                queue = self.name,
                error = &fault as &dyn std::error::Error,
                ?pause,
                "events cannot be taken apart"
            );
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn put_back(&self, events: &[Event<'_>]) -> Result<(), BusError> {
        let link = self.bus.confirming().await?;
        let handing = events.iter().map(|event| {
            let properties = event.envelope.properties(&event.source);
            hand_over(&link.channel, "", &self.name, properties, event.payload)
        });
        try_join_all(handing).await?;
        link.close().await;
        Ok(())
    }
}
