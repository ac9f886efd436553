use event_bus::{Delivery, HandlerError};
use postgres::WriteTx;

use crate::domain::fact::Tells;
use crate::storage::activity;

/// Keeps what an event tells, in the transaction of its inbox row.
pub async fn record<E: Tells>(tx: &mut WriteTx, delivery: &Delivery<E>) -> Result<(), HandlerError> {
    let fact = delivery
        .event
        .fact()
        .map_err(|fault| HandlerError::Poison(Box::new(fault)))?;
    let now = tx.clock().now();
    activity::insert(&mut **tx, delivery.id, delivery.occurred_at, E::TYPE, &fact, now).await?;
    Ok(())
}
