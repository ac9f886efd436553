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
    let size = usize::try_from(page_size).unwrap_or_default();
    let more = rows.len() > size;
    rows.truncate(size);
    let next = match rows.last() {
        Some(last) if more => app.pages.seal(SCOPE, &last.id),
        _ => String::new(),
    };
    Ok((rows, next))
}

pub async fn get(app: &Notification, id: WebhookId) -> Result<Webhook, Problem> {
    webhooks::by_id(app.db.primary(), id)
        .await
        .map_err(problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}
