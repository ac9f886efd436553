use std::sync::Arc;

use problem::Problem;
use typed_id::EventId;

use super::ChangeError;
use super::deliver::{Letter, deliver};
use super::tell::Message;
use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Values};
use crate::recipients;
use crate::storage::announcements::{self, Announcement};

/// Students that an announcement goes to at once.
const BATCH: i64 = 500;

/// Sends the next batch of the announcement whose turn it is; false when there is none. The batch and how far the announcement is
/// are one transaction: whoever goes on after a crash begins where the last batch ended.
pub async fn send_batch(app: &Arc<Notification>) -> Result<bool, Problem> {
    let owned = Arc::clone(app);
    let sent = app.db.write(move |mut tx| async move {
        let app = owned;
        let Some(announcement) = announcements::lock_next(&mut *tx).await? else {
            return Ok::<_, ChangeError>(tx.rollback(false).await?);
        };
        let (course, reached) = (announcement.course_id, announcement.reached);
        let students = announcements::students_after(&mut *tx, course, reached, BATCH).await?;
        let recipients = recipients::find_all(&mut tx, &app.auth, &students).await?;
        let count = i32::try_from(recipients.len()).unwrap_or(i32::MAX);
        let message = message(&app, &announcement);
        let event = EventId(announcement.id.0);
        let letters = recipients.into_iter().map(|to| Letter {
            event,
            to,
            message: message.clone(),
        });
        deliver(&app, &mut tx, letters.collect()).await?;
        let is_done = students.len() < usize::try_from(BATCH).unwrap_or_default();
        let reached = students.last().copied().unwrap_or(reached);
        let now = tx.clock().now();
        announcements::advance(&mut *tx, announcement.id, reached, count, is_done, now).await?;
        Ok(tx.commit(true).await?)
    });
    Ok(sent.await?)
}

fn message(app: &Notification, announcement: &Announcement) -> Message {
    let course = announcement.course_id.to_string();
    Message {
        mail: Some(MailKind::Announcement),
        notification: Some(NotificationKind::Announcement),
        values: Values {
            course_title: announcement.course_title.clone(),
            title: announcement.title.clone(),
            body: announcement.body.clone(),
            ..Values::default()
        },
        link: app.links.course(&course),
        path: format!("/courses/{course}"),
    }
}
