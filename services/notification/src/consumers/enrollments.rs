use std::collections::{HashMap, HashSet};

use contracts::events::v1::{EnrollmentCreated, EnrollmentStatusChanged};
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;
use typed_id::{EventId, InvalidId, UserId};
use uuid::Uuid;

use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Recipient, Values};
use crate::recipients;
use crate::usecases::deliver::{Letter, deliver};
use crate::usecases::tell::Message;

pub async fn created(
    app: &Notification,
    tx: &mut WriteTx,
    deliveries: Vec<Delivery<EnrollmentCreated>>,
) -> Result<(), HandlerError> {
    let told = deliveries.into_iter().map(|delivery| {
        let event = delivery.event;
        let values = Values {
            course_title: event.course_title,
            ..Values::default()
        };
        let kinds = (MailKind::EnrollmentCreated, NotificationKind::EnrollmentCreated);
        let message = message(app, kinds, values, &event.course_id);
        Ok((user(&event.user_id)?, delivery.id, message))
    });
    let told = told.collect::<Result<_, HandlerError>>()?;
    tell_all(app, tx, told, |_, _| Ok(())).await
}

/// What staff did to an enrolment. What students do they know, and time and videos have messages of their own.
pub async fn status_changed(
    app: &Notification,
    tx: &mut WriteTx,
    deliveries: Vec<Delivery<EnrollmentStatusChanged>>,
) -> Result<(), HandlerError> {
    let by_others = deliveries
        .into_iter()
        .filter(|delivery| !["", &delivery.event.user_id].contains(&delivery.event.actor_id.as_str()));
    let told = by_others.map(|delivery| {
        let event = delivery.event;
        let values = Values {
            course_title: event.course_title,
            status: event.status,
            ..Values::default()
        };
        let kinds = (MailKind::EnrollmentChanged, NotificationKind::EnrollmentChanged);
        let message = message(app, kinds, values, &event.course_id);
        Ok((user(&event.user_id)?, delivery.id, message))
    });
    let told = told.collect::<Result<_, HandlerError>>()?;
    // The mail says the same as the inbox.
    tell_all(app, tx, told, |to, values| {
        let text = app
            .texts
            .notification(NotificationKind::EnrollmentChanged, to.locale, values);
        values.body = text.map_err(|fault| HandlerError::Poison(fault.into()))?.body;
        Ok(())
    })
    .await
}

fn user(id: &str) -> Result<UserId, HandlerError> {
    id.parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))
}

fn message(
    app: &Notification,
    (mail, notification): (MailKind, NotificationKind),
    values: Values,
    course: &str,
) -> Message {
    Message {
        mail: Some(mail),
        notification: Some(notification),
        values,
        link: app.links.course(course),
        path: format!("/courses/{course}"),
    }
}

/// Tells each of them, in as few statements as can be. `complete` adds what depends on the recipient's language.
async fn tell_all(
    app: &Notification,
    tx: &mut WriteTx,
    messages: Vec<(UserId, EventId, Message)>,
    complete: impl Fn(&Recipient, &mut Values) -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    let distinct: HashSet<Uuid> = messages.iter().map(|(user, ..)| user.0).collect();
    let distinct: Vec<Uuid> = distinct.into_iter().collect();
    let recipients = recipients::find_all(tx, &app.auth, &distinct).await?;
    let recipients: HashMap<UserId, Recipient> = recipients.into_iter().map(|to| (to.user_id, to)).collect();
    // One round for most: a recipient stands in each only once.
    let mut rounds: Vec<Vec<Letter>> = Vec::new();
    let mut told: HashMap<UserId, usize> = HashMap::new();
    for (user, event, mut message) in messages {
        let Some(to) = recipients.get(&user) else {
            continue;
        };
        let round = told.entry(user).or_default();
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        complete(to, &mut message.values)?;
        rounds[*round].push(Letter {
            event,
            to: to.clone(),
            message,
        });
        *round += 1;
    }
    for letters in rounds {
        deliver(app, tx, letters).await?;
    }
    Ok(())
}
