//! Publishes what the outbox holds: claims rows by state, publishes them mandatory and confirmed, marks them.

use std::time::Duration;

use futures::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use postgres::{Database, WriteError, WriteTx};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use typed_id::EventId;
use uuid::Uuid;

use crate::connection::{Backoff, BusError, EventBus, Link, PATIENCE};
use crate::envelope::Envelope;
use crate::topology;

/// Events published at a time.
const BATCH: i64 = 200;
/// How long an event may wait when nobody wakes the relay: one whose process died after its commit.
const POLL: Duration = Duration::from_secs(1);
const CLEANING_PERIOD: Duration = Duration::from_mins(1);
/// Published events are kept a day, to look at.
const RETENTION: &str = "interval '1 day'";

/// The relay of one service's outbox. Several may run at once: each row is claimed by one.
pub struct Relay {
    db: Database,
    bus: EventBus,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    #[sqlx(rename = "type")]
    event_type: String,
    subject: String,
    payload: Vec<u8>,
    traceparent: Option<String>,
    request_id: Option<String>,
    occurred_at: OffsetDateTime,
}

/// How a batch went.
#[derive(Debug, Default)]
struct Round {
    published: Vec<Uuid>,
    failed: Vec<(Uuid, String)>,
    /// The broker did not answer: the connection is not to be used again.
    broken: bool,
}

impl Relay {
    pub fn new(db: Database, bus: EventBus) -> Self {
        Self { db, bus }
    }

    /// Runs until `shutdown`; a batch that was begun is finished.
    pub async fn run(self, shutdown: CancellationToken) {
        let (mut link, mut backoff) = (None, Backoff::default());
        let mut cleaning = tokio::time::interval(CLEANING_PERIOD);
        while !shutdown.is_cancelled() {
            let pause = match self.round(&mut link).await {
                Ok(count) => {
                    backoff.reset();
                    if count == usize::try_from(BATCH).unwrap_or_default() {
                        Duration::ZERO
                    } else {
                        POLL
                    }
                }
                Err(fault) => {
                    link = None;
                    self.bus.lost();
                    let pause = backoff.next();
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        ?pause,
                        "events cannot be published"
                    );
                    pause
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                // Only what woke it after the last round counts; a failure waits its pause.
                () = self.db.relay_wakes().notified(), if pause == POLL => {}
                () = tokio::time::sleep(pause) => {}
                _ = cleaning.tick(), if pause == POLL => self.clean().await,
            }
        }
        if let Some(link) = link {
            link.close().await;
        }
    }

    /// Publishes one batch and says how many rows it took.
    async fn round(&self, link: &mut Option<Link>) -> Result<usize, BusError> {
        if link.as_ref().is_none_or(|link| !link.is_open()) {
            let fresh = self.bus.open("relay").await?;
            let confirming = fresh.channel.confirm_select(ConfirmSelectOptions::default());
            tokio::time::timeout(PATIENCE, confirming).await??;
            *link = Some(fresh);
        }
        let Some(channel) = link.as_ref().map(|link| link.channel.clone()) else {
            return Err(BusError::Closed);
        };
        let service = self.bus.service();
        let (count, broken) = self
            .db
            .write(move |mut tx| async move {
                let rows = claim(&mut tx).await?;
                let count = rows.len();
                if rows.is_empty() {
                    return tx.rollback((0, false)).await;
                }
                let round = publish(&channel, service, rows).await;
                record(&mut tx, &round).await?;
                tx.commit((count, round.broken)).await
            })
            .await?;
        if broken { Err(BusError::Closed) } else { Ok(count) }
    }

    /// Removes what was published long ago, and measures what waits.
    async fn clean(&self) {
        let schema = self.db.schema();
        let delete = format!(
            "DELETE FROM {schema}.outbox WHERE id IN (
                 SELECT id FROM {schema}.outbox WHERE published_at < now() - {RETENTION} LIMIT 10000)"
        );
        let oldest = format!(
            "SELECT coalesce(extract(epoch FROM now() - min(occurred_at)), 0)::float8
             FROM {schema}.outbox WHERE published_at IS NULL"
        );
        let measured = async {
            sqlx::query(AssertSqlSafe(delete))
                .execute(self.db.primary())
                .await?;
            sqlx::query_scalar::<_, f64>(AssertSqlSafe(oldest))
                .fetch_one(self.db.primary())
                .await
        };
        match measured.await {
            Ok(seconds) => metrics::gauge!("outbox_oldest_unpublished_seconds").set(seconds),
            Err(fault) => tracing::debug!(
                error = &fault as &dyn std::error::Error,
                "the outbox was not cleaned"
            ),
        }
    }
}

async fn claim(tx: &mut WriteTx) -> Result<Vec<Row>, WriteError> {
    let statement = format!(
        "SELECT id, type, subject, payload, traceparent, request_id, occurred_at FROM {}.outbox
         WHERE published_at IS NULL AND due_at <= clock_timestamp()
         ORDER BY due_at, id LIMIT {BATCH} FOR UPDATE SKIP LOCKED",
        tx.schema()
    );
    Ok(sqlx::query_as(AssertSqlSafe(statement))
        .fetch_all(&mut **tx)
        .await?)
}

async fn publish(channel: &Channel, service: &str, rows: Vec<Row>) -> Round {
    let attempts = rows.into_iter().map(|row| async move {
        let id = row.id;
        match tokio::time::timeout(PATIENCE, publish_one(channel, service, row)).await {
            Ok(Ok(())) => (id, Ok(())),
            Ok(Err(said)) => (id, Err((said, !channel.status().connected()))),
            Err(_) => (id, Err(("no answer in time".to_owned(), true))),
        }
    });
    let mut round = Round::default();
    for (id, outcome) in join_all(attempts).await {
        match outcome {
            Ok(()) => round.published.push(id),
            Err((said, broken)) => {
                round.broken |= broken;
                round.failed.push((id, said));
            }
        }
    }
    round
}

async fn publish_one(channel: &Channel, service: &str, row: Row) -> Result<(), String> {
    let envelope = Envelope {
        id: EventId(row.id),
        event_type: row.event_type,
        subject: row.subject,
        occurred_at: row.occurred_at,
        traceparent: row.traceparent,
        request_id: row.request_id,
    };
    let options = BasicPublishOptions {
        mandatory: topology::has_queue(&envelope.event_type),
        ..BasicPublishOptions::default()
    };
    let key = envelope.event_type.as_str();
    let properties = envelope.properties(service);
    let confirm = channel
        .basic_publish(
            topology::EXCHANGE.into(),
            key.into(),
            options,
            &row.payload,
            properties,
        )
        .await
        .map_err(|fault| fault.to_string())?
        .await
        .map_err(|fault| fault.to_string())?;
    match confirm {
        // An unroutable message is confirmed too; only the returned copy tells.
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err("no queue took it".to_owned()),
        Confirmation::Nack(_) | Confirmation::NotRequested => Err("the broker did not confirm".to_owned()),
    }
}

async fn record(tx: &mut WriteTx, round: &Round) -> Result<(), WriteError> {
    let schema = tx.schema();
    metrics::counter!("outbox_events_total", "outcome" => "published")
        .increment(round.published.len() as u64);
    metrics::counter!("outbox_events_total", "outcome" => "failed").increment(round.failed.len() as u64);
    if !round.published.is_empty() {
        let statement =
            format!("UPDATE {schema}.outbox SET published_at = clock_timestamp() WHERE id = ANY($1)");
        sqlx::query(AssertSqlSafe(statement))
            .bind(&round.published)
            .execute(&mut **tx)
            .await?;
    }
    if !round.failed.is_empty() {
        let (ids, said): (Vec<Uuid>, Vec<String>) = round.failed.iter().cloned().unzip();
        let statement = format!(
            "UPDATE {schema}.outbox o SET attempts = attempts + 1, last_error = f.said,
                 due_at = clock_timestamp() + least(interval '30 s', interval '200 ms' * power(2, least(attempts, 10)))
             FROM unnest($1::uuid[], $2::text[]) AS f (id, said) WHERE o.id = f.id"
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(ids)
            .bind(said)
            .execute(&mut **tx)
            .await?;
        tracing::warn!(
            count = round.failed.len(),
            first = round.failed[0].1,
            "events were not taken"
        );
    }
    Ok(())
}
