use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::domain::fact::{Tells, Unreadable};
use crate::storage::activity;

/// Keeps what events tell, each under its id.
pub async fn record<E: Tells>(tx: &mut WriteTx, deliveries: &[Delivery<E>]) -> Result<(), HandlerError> {
    let told = deliveries.iter().map(|delivery| {
        let fact = delivery.event.fact()?;
        Ok((delivery.id, delivery.occurred_at, fact))
    });
    let told = told.collect::<Result<Vec<_>, Unreadable>>();
    let told = told.map_err(|fault| HandlerError::Poison(Box::new(fault)))?;
    let now = tx.clock().now();
    Ok(activity::insert(&mut **tx, E::TYPE, &told, now).await?)
}
