use postgres::problem_of;
use problem::Problem;
use typed_id::{WebhookDeliveryId, WebhookId};

use super::list::get;
use crate::app::Notification;
use crate::storage::webhook_deliveries::{self as deliveries, Delivery};

/// One page of a webhook's deliveries, newest first; the token is empty on the last one.
pub async fn list_deliveries(
    app: &Notification,
    id: WebhookId,
    state: Option<&str>,
    page_size: i64,
    page_token: Option<&str>,
) -> Result<(Vec<Delivery>, String), Problem> {
    let scope = format!("webhook-deliveries:{id}:{}", state.unwrap_or_default());
    let before: Option<WebhookDeliveryId> = app.pages.open(&scope, page_token)?;
    get(app, id).await?;
    let mut rows = deliveries::page(app.db.primary(), id, state, before, page_size + 1)
        .await
        .map_err(problem_of)?;
    let next = app.pages.cut(&scope, &mut rows, page_size, |last| last.id);
    Ok((rows, next))
}
