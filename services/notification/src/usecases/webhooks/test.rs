use std::sync::Arc;

use problem::{Problem, codes};
use serde_json::json;
use typed_id::{EventId, WebhookDeliveryId, WebhookId};

use crate::app::Notification;
use crate::domain::webhook::{Message, TEST_TYPE};
use crate::storage::webhook_deliveries::{self as deliveries, Delivery};
use crate::storage::webhooks;
use crate::usecases::ChangeError;

/// Queues an event of nothing for one webhook.
pub async fn test(app: &Notification, id: WebhookId) -> Result<Delivery, Problem> {
    let now = app.clock.now();
    let data = json!({"webhook_id": id.to_string()});
    let message = Message::new(EventId::new(now), TEST_TYPE, now, data).map_err(Problem::internal)?;
    let wake = Arc::clone(&app.wake_dispatcher);
    let written = app.db.write(move |mut tx| async move {
        let not_found = || Problem::new(&codes::NOT_FOUND);
        if !webhooks::lock(&mut *tx, id).await?.ok_or_else(not_found)? {
            return Err(Problem::new(&codes::WEBHOOK_INACTIVE).into());
        }
        let made = deliveries::insert(&mut tx, std::slice::from_ref(&message), &[id.0], now).await?;
        let made = made.first().copied().ok_or_else(not_found)?;
        let queued = deliveries::lock(&mut *tx, WebhookDeliveryId(made)).await?;
        let (queued, _) = queued.ok_or_else(not_found)?;
        tx.after_commit(move || wake.notify_one());
        Ok::<_, ChangeError>(tx.commit(queued).await?)
    });
    Ok(written.await?)
}
