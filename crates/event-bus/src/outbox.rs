//! The outbox: events are written in the transaction of the change they tell of, and published by the relay.

pub mod relay;

use contracts::Event;
use postgres::WriteTx;
use sqlx::AssertSqlSafe;
use typed_id::EventId;
use uuid::Uuid;

use crate::topology::Queue;

/// Adds an event to the transaction. It is published after the commit, and never without it.
pub async fn append<E: Event>(tx: &mut WriteTx, event: &E) -> Result<EventId, sqlx::Error> {
    let now = tx.clock().now();
    let id = EventId::new(now);
    let payload = serde_json::to_vec(event).map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?;
    let statement = format!(
        "INSERT INTO {}.outbox (id, type, subject, payload, traceparent, request_id, occurred_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        tx.schema()
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(id)
        .bind(E::TYPE)
        .bind(event.subject())
        .bind(payload)
        .bind(request_context::traceparent())
        .bind(request_context::current().request_id.as_deref())
        .bind(now)
        .execute(&mut **tx)
        .await?;
    tx.wake_relay_on_commit();
    Ok(id)
}

/// Adds tasks of one kind to the transaction: an id and a payload each, for one queue.
pub async fn append_tasks(
    tx: &mut WriteTx,
    queue: &Queue,
    kind: &str,
    tasks: &[(Uuid, Vec<u8>)],
) -> Result<(), sqlx::Error> {
    let (ids, payloads): (Vec<Uuid>, Vec<&[u8]>) = tasks
        .iter()
        .map(|(id, payload)| (*id, payload.as_slice()))
        .unzip();
    let statement = format!(
        "INSERT INTO {}.outbox (id, type, subject, payload, traceparent, request_id, occurred_at, queue)
         SELECT id, $3, id::text, payload, $4, $5, $6, $7 FROM unnest($1::uuid[], $2::bytea[]) AS new (id, payload)",
        tx.schema()
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .bind(payloads)
        .bind(kind)
        .bind(request_context::traceparent())
        .bind(request_context::current().request_id.as_deref())
        .bind(tx.clock().now())
        .bind(queue.name())
        .execute(&mut **tx)
        .await?;
    tx.wake_relay_on_commit();
    Ok(())
}

/// Adds many events of one type in one statement.
pub async fn append_all<E: Event>(tx: &mut WriteTx, events: &[E]) -> Result<(), sqlx::Error> {
    let now = tx.clock().now();
    let ids: Vec<EventId> = events.iter().map(|_| EventId::new(now)).collect();
    let subjects: Vec<&str> = events.iter().map(Event::subject).collect();
    let payloads: Result<Vec<Vec<u8>>, _> = events.iter().map(serde_json::to_vec).collect();
    let statement = format!(
        "INSERT INTO {}.outbox (id, type, subject, payload, traceparent, request_id, occurred_at)
         SELECT id, $2, subject, payload, $5, $6, $7
         FROM unnest($1::uuid[], $3::text[], $4::bytea[]) AS new (id, subject, payload)",
        tx.schema()
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .bind(E::TYPE)
        .bind(subjects)
        .bind(payloads.map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?)
        .bind(request_context::traceparent())
        .bind(request_context::current().request_id.as_deref())
        .bind(now)
        .execute(&mut **tx)
        .await?;
    tx.wake_relay_on_commit();
    Ok(())
}
