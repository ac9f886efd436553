//! The outbox: events are written in the transaction of the change they tell of, and published by the relay.

pub mod relay;

use std::sync::Arc;

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

/// The request that an event comes from.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    traceparent: Option<String>,
    request_id: Option<Arc<str>>,
}

impl Cause {
    /// What the current task works for.
    pub fn current() -> Self {
        Self {
            traceparent: request_context::traceparent(),
            request_id: request_context::current().request_id,
        }
    }
}

/// Adds events of several requests in one statement.
pub async fn append_each<E: Event>(tx: &mut WriteTx, events: &[(E, Cause)]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let now = tx.clock().now();
    let ids: Vec<Uuid> = events.iter().map(|_| EventId::new(now).0).collect();
    let subjects: Vec<&str> = events.iter().map(|(event, _)| event.subject()).collect();
    let payloads: Result<Vec<Vec<u8>>, _> = events
        .iter()
        .map(|(event, _)| serde_json::to_vec(event))
        .collect();
    let traces: Vec<Option<&str>> = events
        .iter()
        .map(|(_, cause)| cause.traceparent.as_deref())
        .collect();
    let requests: Vec<Option<&str>> = events
        .iter()
        .map(|(_, cause)| cause.request_id.as_deref())
        .collect();
    let statement = format!(
        "INSERT INTO {}.outbox (id, type, subject, payload, traceparent, request_id, occurred_at)
         SELECT id, $2, subject, payload, traceparent, request_id, $7
         FROM unnest($1::uuid[], $3::text[], $4::bytea[], $5::text[], $6::text[])
              AS new (id, subject, payload, traceparent, request_id)",
        tx.schema()
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .bind(E::TYPE)
        .bind(subjects)
        .bind(payloads.map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?)
        .bind(traces)
        .bind(requests)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    tx.wake_relay_on_commit();
    Ok(())
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
