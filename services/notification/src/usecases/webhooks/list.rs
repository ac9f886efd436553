use postgres::problem_of;
use problem::{Problem, codes};
use typed_id::WebhookId;

use crate::app::Notification;
use crate::storage::webhooks::{self, Webhook};

const SCOPE: &str = "webhooks";

/// One page, newest first; the token is empty on the last one.
pub async fn list(
    app: &Notification,
    page_size: i64,
    page_token: Option<&str>,
) -> Result<(Vec<Webhook>, String), Problem> {
    let before: Option<WebhookId> = app.pages.open(SCOPE, page_token)?;
    let mut rows = webhooks::page(app.db.primary(), before, page_size + 1)
        .await
        .map_err(problem_of)?;
    let next = app.pages.cut(SCOPE, &mut rows, page_size, |last| last.id);
    Ok((rows, next))
}

pub async fn get(app: &Notification, id: WebhookId) -> Result<Webhook, Problem> {
    webhooks::by_id(app.db.primary(), id)
        .await
        .map_err(problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}
