use contracts::events::v1::{UserRegistered, UserUpdated};
use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Recipient, Values};
use crate::storage::users::{self, User};
use crate::usecases::tell::{Message, tell};

pub async fn registered(
    app: &Notification,
    tx: &mut WriteTx,
    delivery: Delivery<UserRegistered>,
) -> Result<(), HandlerError> {
    let user = User::try_from(delivery.event).map_err(|fault| HandlerError::Poison(fault.into()))?;
    users::upsert(&mut **tx, std::slice::from_ref(&user)).await?;
    let message = Message {
        mail: Some(MailKind::Welcome),
        notification: Some(NotificationKind::Welcome),
        values: Values::default(),
        link: app.links.catalog(),
        path: "/courses".into(),
    };
    tell(app, tx, delivery.id, &Recipient::from(user), message).await
}

pub async fn updated(tx: &mut WriteTx, delivery: Delivery<UserUpdated>) -> Result<(), HandlerError> {
    let user = User::try_from(delivery.event).map_err(|fault| HandlerError::Poison(fault.into()))?;
    Ok(users::upsert(&mut **tx, std::slice::from_ref(&user)).await?)
}
