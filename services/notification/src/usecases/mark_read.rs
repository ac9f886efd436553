use access_token::Caller;
use problem::{Problem, codes};
use typed_id::NotificationId;

use crate::app::Notification as App;
use crate::storage::notifications::{self, Notification};

/// Marks one of the caller's notifications as read. Again changes nothing.
pub async fn mark_read(app: &App, caller: &Caller, id: NotificationId) -> Result<Notification, Problem> {
    let user = caller.user()?.id;
    // One statement is a transaction of its own, and PostgreSQL finishes it whether or not the client waits.
    notifications::mark_read(app.db.primary(), user, id, app.clock.now())
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

/// Marks all of the caller's notifications as read and says how many became so.
pub async fn mark_all_read(app: &App, caller: &Caller) -> Result<u64, Problem> {
    let user = caller.user()?.id;
    notifications::mark_all_read(app.db.primary(), user, app.clock.now())
        .await
        .map_err(postgres::problem_of)
}
