//! Events as they pass, for who watches.

use futures::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::batch::events_of;
use crate::connection::{BusError, EventBus, PATIENCE};
use crate::envelope::Envelope;
use crate::topology::{EXCHANGE, passing};

impl EventBus {
    /// Calls `see` with each event whose type matches one of the patterns (`user.*`, `#` for all) until it says that this is enough.
    /// `ready` is called when nothing is missed any more.
    pub async fn tail(
        &self,
        patterns: &[String],
        ready: impl FnOnce() + Send,
        mut see: impl FnMut(Envelope, &[u8]) -> bool + Send,
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
            for pattern in patterns {
                channel
                    .queue_bind(
                        queue.name().clone(),
                        EXCHANGE.into(),
                        pattern.as_str().into(),
                        QueueBindOptions::default(),
                        FieldTable::default(),
                    )
                    .await?;
            }
            let options = BasicConsumeOptions {
                no_ack: true,
                ..BasicConsumeOptions::default()
            };
            channel
                .basic_consume(
                    queue.name().clone(),
                    "tail".into(),
                    options,
                    FieldTable::default(),
                )
                .await
        };
        let mut messages = tokio::time::timeout(PATIENCE, starting).await??;
        ready();
        while let Some(message) = messages.next().await {
            let message = message?;
            for event in events_of(&message).into_iter().flatten() {
                if !see(event.envelope, event.payload) {
                    link.close().await;
                    return Ok(());
                }
            }
        }
        Err(BusError::Closed)
    }
}
