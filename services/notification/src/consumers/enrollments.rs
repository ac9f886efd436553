use contracts::events::v1::EnrollmentCreated;
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Values};
use crate::recipients;
use crate::usecases::tell::{Message, tell};

pub async fn created(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<EnrollmentCreated>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let user = event
        .user_id
        .parse()
        .map_err(|fault: typed_id::InvalidId| HandlerError::Poison(fault.into()))?;
    let Some(to) = recipients::find(tx, &app.auth, user).await? else {
        return Ok(());
    };
    let message = Message {
        mail: Some(MailKind::EnrollmentCreated),
        notification: Some(NotificationKind::EnrollmentCreated),
        values: Values {
            course_title: event.course_title,
            ..Values::default()
        },
        link: app.links.course(&event.course_id),
        path: format!("/courses/{}", event.course_id),
    };
    tell(app, tx, delivery.id, &to, message).await
}
