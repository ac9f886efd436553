use access_token::Caller;
use problem::Problem;
use typed_id::NotificationId;

use crate::app::Notification as App;
use crate::storage::notifications::{self, Notification};

/// One page of a user's inbox; the token is empty on the last one.
#[derive(Debug)]
pub struct Page {
    pub notifications: Vec<Notification>,
    pub next_page_token: String,
    /// Of all pages.
    pub unread_count: i64,
}

/// The caller's inbox, newest first. Two queries.
pub async fn list_notifications(
    app: &App,
    caller: &Caller,
    only_unread: bool,
    page_size: i64,
    page_token: Option<&str>,
) -> Result<Page, Problem> {
    let user = caller.user()?.id;
    let scope = format!("notifications:{user}:{only_unread}");
    let before: Option<NotificationId> = app.pages.open(&scope, page_token)?;
    let db = app.db.primary();
    let (mut rows, unread) = tokio::try_join!(
        notifications::page(db, user, only_unread, before, page_size + 1),
        notifications::count_unread(db, user),
    )
    .map_err(postgres::problem_of)?;
    let next_page_token = app.pages.cut(&scope, &mut rows, page_size, |last| last.id);
    Ok(Page {
        notifications: rows,
        next_page_token,
        unread_count: unread,
    })
}
