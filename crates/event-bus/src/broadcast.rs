//! Events that every process hears while it runs, without a durable queue: cache invalidation, revocations.

use contracts::Event;
use futures::StreamExt;
use lapin::message::Delivery as Message;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio_util::sync::CancellationToken;

use crate::batch::events_of;
use crate::connection::{Backoff, BusError, EventBus, PATIENCE};
use crate::topology::{EXCHANGE, passing};

impl EventBus {
    /// Calls `hear` with each event of type `E` until `shutdown`. What happens while the broker is away is missed: use it
    /// where missing something is made good by time or by asking.
    pub async fn listen<E: Event>(&self, shutdown: CancellationToken, hear: impl Fn(E) + Send + Sync) {
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            if let Err(fault) = self.hear_session(&shutdown, &hear, &mut backoff).await {
                tracing::debug!(
                    event_type = E::TYPE,
                    error = &fault as &dyn std::error::Error,
                    "nothing is heard"
                );
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(backoff.next()) => {}
                }
            }
        }
    }

    async fn hear_session<E: Event>(
        &self,
        shutdown: &CancellationToken,
        hear: &(impl Fn(E) + Send + Sync),
        backoff: &mut Backoff,
    ) -> Result<(), BusError> {
        let link = self.consuming().await?;
        let channel = &link.channel;
        let starting = async {
            let options = QueueDeclareOptions {
                exclusive: true,
                auto_delete: true,
                ..QueueDeclareOptions::default()
            };
            // The broker makes up the name.
            let queue = channel.queue_declare("".into(), options, passing()).await?;
            let (bind, consume) = (
                QueueBindOptions::default(),
                BasicConsumeOptions {
                    no_ack: true,
                    ..Default::default()
                },
            );
            channel
                .queue_bind(
                    queue.name().clone(),
                    EXCHANGE.into(),
                    E::TYPE.into(),
                    bind,
                    FieldTable::default(),
                )
                .await?;
            channel
                .basic_consume(
                    queue.name().clone(),
                    "listener".into(),
                    consume,
                    FieldTable::default(),
                )
                .await
        };
        let mut messages = tokio::time::timeout(PATIENCE, starting).await??;
        backoff.reset();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {
                    link.close().await;
                    return Ok(());
                }
                next = messages.next() => match next {
                    Some(Ok(message)) => hear_all(&message, hear),
                    Some(Err(fault)) => return Err(fault.into()),
                    None => return Err(BusError::Closed),
                },
            }
        }
    }
}

fn hear_all<E: Event>(message: &Message, hear: impl Fn(E)) {
    let Some(events) = events_of(message) else {
        tracing::warn!(event_type = E::TYPE, "a message is no event of ours");
        return;
    };
    for event in events {
        match serde_json::from_slice(event.payload) {
            Ok(event) => hear(event),
            Err(fault) => {
                tracing::warn!(
                    event_type = E::TYPE,
                    error = &fault as &dyn std::error::Error,
                    "not readable"
                );
            }
        }
    }
}
