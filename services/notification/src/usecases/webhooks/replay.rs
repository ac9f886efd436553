use std::sync::Arc;

use access_token::Caller;
use problem::{Problem, codes};
use typed_id::WebhookDeliveryId;

use super::check_readable;
use crate::app::Notification;
use crate::domain::webhook::TEST_TYPE;
use crate::storage::webhook_deliveries::{self as deliveries, Delivery};
use crate::usecases::ChangeError;

/// Sends a delivery again at once, whatever became of it. It is of a type that the caller may read: the address may be theirs.
pub async fn replay(app: &Notification, caller: &Caller, id: WebhookDeliveryId) -> Result<Delivery, Problem> {
    let caller = caller.clone();
    let wake = Arc::clone(&app.wake_dispatcher);
    let written = app.db.write(move |mut tx| async move {
        let found = deliveries::lock(&mut *tx, id).await?;
        let (delivery, is_active) = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        if delivery.event_type != TEST_TYPE {
            check_readable(&caller, std::slice::from_ref(&delivery.event_type))?;
        }
        if !is_active {
            return Err(Problem::new(&codes::WEBHOOK_INACTIVE).into());
        }
        let now = tx.clock().now();
        deliveries::requeue(&mut *tx, id, now).await?;
        tx.after_commit(move || wake.notify_one());
        let delivery = Delivery {
            state: "pending".into(),
            attempts: 0,
            next_attempt_at: now,
            ..delivery
        };
        Ok::<_, ChangeError>(tx.commit(delivery).await?)
    });
    Ok(written.await?)
}
