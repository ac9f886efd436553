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
    let (rows, unread) = tokio::try_join!(
        notifications::page(db, user, only_unread, before, page_size + 1),
        notifications::count_unread(db, user),
    )
    .map_err(postgres::problem_of)?;
    let size = usize::try_from(page_size).unwrap_or_default();
    let more = rows.len() > size;
    let rows: Vec<Notification> = rows.into_iter().take(size).collect();
    let next_page_token = match rows.last() {
        Some(last) if more => app.pages.seal(&scope, &last.id),
        _ => String::new(),
    };
    Ok(Page {
        notifications: rows,
        next_page_token,
        unread_count: unread,
    })
}
