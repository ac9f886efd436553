use std::collections::{HashMap, HashSet};

use contracts::events::v1::EnrollmentCreated;
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;
use typed_id::{InvalidId, UserId};
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
    let users = deliveries.iter().map(|delivery| delivery.event.user_id.parse());
    let users: Vec<UserId> = users
        .collect::<Result<_, _>>()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    let distinct: HashSet<Uuid> = users.iter().map(|user| user.0).collect();
    let distinct: Vec<Uuid> = distinct.into_iter().collect();
    let recipients = recipients::find_all(tx, &app.auth, &distinct).await?;
    let recipients: HashMap<UserId, Recipient> = recipients.into_iter().map(|to| (to.user_id, to)).collect();
    // One round for most: a recipient stands in each only once.
    let mut rounds: Vec<Vec<Letter>> = Vec::new();
    let mut told: HashMap<UserId, usize> = HashMap::new();
    for (user, delivery) in users.into_iter().zip(deliveries) {
        let Some(to) = recipients.get(&user) else {
            continue;
        };
        let round = told.entry(user).or_default();
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(letter(app, to.clone(), delivery));
        *round += 1;
    }
    for letters in rounds {
        deliver(app, tx, letters).await?;
    }
    Ok(())
}

fn letter(app: &Notification, to: Recipient, delivery: Delivery<EnrollmentCreated>) -> Letter {
    let event = delivery.event;
    Letter {
        event: delivery.id,
        to,
        message: Message {
            mail: Some(MailKind::EnrollmentCreated),
            notification: Some(NotificationKind::EnrollmentCreated),
            values: Values {
                course_title: event.course_title,
                ..Values::default()
            },
            link: app.links.course(&event.course_id),
            path: format!("/courses/{}", event.course_id),
        },
    }
}
