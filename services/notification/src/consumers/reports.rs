use contracts::events::v1::WeeklySummaryMade;
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;
use typed_id::InvalidId;

use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Values, Week};
use crate::recipients;
use crate::usecases::tell::{Message, tell};

/// A teacher's week: in the inbox, and by mail with the summary of the week unless the teacher wants it otherwise.
pub async fn weekly_summary_made(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<WeeklySummaryMade>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let teacher = event
        .teacher_id
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    let Some(to) = recipients::find(tx, &app.auth, teacher).await? else {
        return Ok(());
    };
    let kind = NotificationKind::WeeklySummary;
    let values = Values {
        week: week(&event),
        ..Values::default()
    };
    let body = app.texts.notification(kind, to.locale, &values);
    let body = body.map_err(|fault| HandlerError::Poison(fault.into()))?.body;
    let message = Message {
        mail: Some(MailKind::WeeklySummary),
        notification: Some(kind),
        values: Values { body, ..values },
        link: app.links.catalog(),
        path: "/courses".into(),
    };
    tell(app, tx, delivery.id, &to, message).await
}

fn week(event: &WeeklySummaryMade) -> Week {
    Week {
        first_day: day(&event.first_day),
        last_day: day(&event.last_day),
        active_students: event.active_students,
        enrollments: event.enrollments,
        videos_completed: event.videos_completed,
        courses_completed: event.courses_completed,
        attempts_submitted: event.attempts_submitted,
        average_score: event
            .average_score_percent
            .map(|percent| format!("{percent:.0}"))
            .unwrap_or_default(),
    }
}

/// `2027-01-11` as `11.01.2027`.
fn day(iso: &str) -> String {
    let mut parts: Vec<&str> = iso.split('-').collect();
    parts.reverse();
    parts.join(".")
}
