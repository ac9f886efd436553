use problem::Problem;
use typed_id::{NotificationId, UserId};

use crate::app::Notification as App;
use crate::storage::notifications::{self, Notification};

const PAGE: usize = 200;

/// A user's notifications after an id, oldest first, and whether there are more.
pub async fn list_notifications_after(
    app: &App,
    user: UserId,
    after: NotificationId,
) -> Result<(Vec<Notification>, bool), Problem> {
    let mut rows = notifications::page_after(app.db.primary(), user, after, PAGE as i64 + 1)
        .await
        .map_err(postgres::problem_of)?;
    let has_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    Ok((rows, has_more))
}
