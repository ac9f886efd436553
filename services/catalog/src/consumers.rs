//! Events of others -> the projection of teachers, through the inbox.

use contracts::events::v1::{UserRegistered, UserUpdated};
use event_bus::{Delivery, HandlerError, Subscription};
use postgres::WriteTx;
use typed_id::{InvalidId, UserId};

use crate::storage::teachers;

/// `catalog.users`: names of who may teach.
pub fn users() -> Subscription {
    Subscription::new("catalog", "users")
        .on::<UserRegistered, _>(|tx, delivery| Box::pin(registered(tx, delivery)))
        .on::<UserUpdated, _>(|tx, delivery| Box::pin(updated(tx, delivery)))
}

async fn registered(tx: &mut WriteTx, delivery: Delivery<UserRegistered>) -> Result<(), HandlerError> {
    let event = delivery.event;
    keep(tx, &event.user_id, event.version, &event.full_name).await
}

async fn updated(tx: &mut WriteTx, delivery: Delivery<UserUpdated>) -> Result<(), HandlerError> {
    let event = delivery.event;
    keep(tx, &event.user_id, event.version, &event.full_name).await
}

async fn keep(tx: &mut WriteTx, id: &str, version: i32, name: &str) -> Result<(), HandlerError> {
    let id: UserId = id
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    Ok(teachers::upsert(&mut **tx, id, version, name).await?)
}
