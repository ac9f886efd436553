use contracts::events::v1::{CourseVideosCompleted, ExamAttemptGraded};
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;
use typed_id::InvalidId;

use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Values};
use crate::recipients;
use crate::usecases::tell::{Message, tell};

pub async fn course_completed(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<CourseVideosCompleted>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let message = Message {
        mail: Some(MailKind::CourseCompleted),
        notification: Some(NotificationKind::CourseCompleted),
        values: Values {
            course_title: event.course_title,
            ..Values::default()
        },
        link: app.links.course(&event.course_id),
        path: format!("/courses/{}", event.course_id),
    };
    send(app, tx, delivery.id, &event.user_id, message).await
}

/// Told once the student may see the result; the score itself stays in the exam service.
pub async fn attempt_graded(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<ExamAttemptGraded>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    if !event.is_released {
        return Ok(());
    }
    let message = Message {
        mail: Some(MailKind::ExamGraded),
        notification: Some(NotificationKind::ExamGraded),
        values: Values {
            exam_title: event.exam_title,
            ..Values::default()
        },
        link: app.links.exam_result(&event.attempt_id),
        path: format!("/exam-attempts/{}/result", event.attempt_id),
    };
    send(app, tx, delivery.id, &event.user_id, message).await
}

async fn send(
    app: &Notification,
    tx: &mut WriteTx,
    event: typed_id::EventId,
    user: &str,
    message: Message,
) -> Result<(), HandlerError> {
    let user = user
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    match recipients::find(tx, &app.auth, user).await? {
        Some(to) => tell(app, tx, event, &to, message).await,
        None => Ok(()),
    }
}
