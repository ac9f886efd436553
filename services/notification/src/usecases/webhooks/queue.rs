use std::sync::Arc;

use contracts::Event;
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::app::Notification;
use crate::domain::webhook::Message;
use crate::storage::webhook_deliveries as deliveries;

/// Queues events for every webhook that wants their type, each once; none about who was erased.
pub async fn queue<E: Event>(
    app: &Notification,
    tx: &mut WriteTx,
    told: Vec<Delivery<E>>,
) -> Result<(), HandlerError> {
    let webhooks = deliveries::subscribers(&mut **tx, E::TYPE).await?;
    if webhooks.is_empty() {
        return Ok(());
    }
    let poison = |fault: serde_json::Error| HandlerError::Poison(fault.into());
    let messages = told.into_iter().map(|delivery| {
        let data = serde_json::to_value(&delivery.event)?;
        Message::new(delivery.id, E::TYPE, delivery.occurred_at, data)
    });
    let messages: Vec<Message> = messages.collect::<Result<_, _>>().map_err(poison)?;
    let now = tx.clock().now();
    deliveries::insert(tx, &messages, &webhooks, now).await?;
    let wake = Arc::clone(&app.wake_dispatcher);
    tx.after_commit(move || wake.notify_one());
    Ok(())
}
