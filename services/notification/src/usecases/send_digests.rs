use std::sync::Arc;

use problem::Problem;
use typed_id::EventId;
use uuid::Uuid;

use super::ChangeError;
use crate::app::Notification;
use crate::domain::message::MailKind;
use crate::domain::route::{Route, route};
use crate::storage::mails::{self, NewMail};
use crate::storage::{digests, preferences};

/// Summaries that become mails in one transaction.
const BATCH: i64 = 100;

/// Makes mails of summaries that are due, and tells whether there may be more. Several instances may do it at once: each takes
/// what no other holds.
pub async fn send_batch(app: &Arc<Notification>) -> Result<bool, Problem> {
    let owned = Arc::clone(app);
    let sent = app.db.write(move |mut tx| async move {
        let (app, now) = (owned, tx.clock().now());
        let due = digests::lock_due(&mut *tx, now, BATCH).await?;
        if due.is_empty() {
            return Ok::<_, ChangeError>(tx.rollback(false).await?);
        }
        let ids: Vec<Uuid> = due.iter().map(|digest| digest.id).collect();
        let mut items = digests::items(&mut *tx, &ids).await?;
        let users: Vec<Uuid> = due.iter().map(|digest| digest.to.user_id.0).collect();
        let wishes = preferences::of_users(&mut tx, &users).await?;
        let mut queued = Vec::new();
        for digest in due.iter().filter(|digest| digest.is_active) {
            // Without any: they were unsubscribed from in the meantime.
            let (Some(items), Some(wishes)) = (items.remove(&digest.id), wishes.get(&digest.to.user_id.0))
            else {
                continue;
            };
            let content = app.texts.digest(digest.to.locale, &digest.to.name, &items);
            let (kind, to) = (MailKind::Digest, digest.to.clone());
            if let Route::At(at) = route(kind, &wishes.preferences, &wishes.zone, now) {
                queued.push(NewMail {
                    event_id: EventId(digest.id),
                    kind,
                    to,
                    content: content.map_err(Problem::internal)?,
                    at,
                });
            }
        }
        if !queued.is_empty() {
            mails::insert(&mut *tx, &queued, now).await?;
        }
        digests::remove(&mut *tx, &due).await?;
        let is_whole = due.len() == usize::try_from(BATCH).unwrap_or_default();
        tx.after_commit(move || app.wake_sender.notify_one());
        Ok(tx.commit(is_whole).await?)
    });
    Ok(sent.await?)
}
