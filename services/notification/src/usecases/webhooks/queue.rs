use std::sync::Arc;

use contracts::Event;
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::app::Notification;
use crate::domain::webhook::Message;
use crate::storage::webhook_deliveries as deliveries;

/// Queues an event for every webhook that wants its type, in the transaction that records that it came.
pub async fn queue<E: Event>(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<E>,
) -> Result<(), HandlerError> {
    let webhooks = deliveries::subscribers(&mut **tx, E::TYPE).await?;
    if webhooks.is_empty() {
        return Ok(());
    }
    let poison = |fault: serde_json::Error| HandlerError::Poison(fault.into());
    let data = serde_json::to_value(&delivery.event).map_err(poison)?;
    let message = Message::new(delivery.id, E::TYPE, delivery.occurred_at, data).map_err(poison)?;
    let now = tx.clock().now();
    deliveries::insert(tx, &message, &webhooks, now).await?;
    let wake = Arc::clone(&app.wake_dispatcher);
    tx.after_commit(move || wake.notify_one());
    Ok(())
}
