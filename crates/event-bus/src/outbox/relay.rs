//! Publishes what the outbox holds: claims rows by state, publishes them mandatory and confirmed, marks them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use postgres::{Database, WriteError, WriteTx};
use request_context::RequestContext;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use typed_id::EventId;
use uuid::Uuid;

use crate::batch::{self, Place};
use crate::connection::{Backoff, BusError, EventBus, Link, PATIENCE};
use crate::envelope::Envelope;
use crate::{pace, topology};

/// Events published at a time.
const BATCH: i64 = 200;
/// How long an event may wait when nobody wakes the relay: one whose process died after its commit.
const POLL: Duration = Duration::from_secs(1);
/// Bytes of payloads that share a message.
const ROOM: usize = 48 << 10;
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(10);
/// Published events are kept a day, to look at; tasks until they are done, so that a broker that lost them can be given them again.
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
    /// Of a task.
    queue: Option<String>,
    attempts: i32,
}

impl Row {
    /// The type of the messages it may share: what failed before takes no other along, a secret is in nothing that is looked at, and what
    /// no queue keeps costs nothing there.
    fn shared_type(&self) -> Option<&str> {
        let is_shared = self.queue.is_none()
            && self.attempts == 0
            && !self.is_secret()
            && topology::has_queue(&self.event_type);
        is_shared.then_some(self.event_type.as_str())
    }

    fn is_secret(&self) -> bool {
        contracts::SECRET_EVENT_TYPES.contains(&self.event_type.as_str())
    }
}

/// An event on its way, and the span of that.
struct Outgoing {
    envelope: Envelope,
    payload: Vec<u8>,
    queue: Option<String>,
    _span: Span,
}

/// How a batch went.
#[derive(Debug, Default)]
struct Round {
    published: Vec<Uuid>,
    failed: Vec<(Uuid, String)>,
    /// The broker did not answer, or lacks a queue: another connection declares all of them again.
    broken: bool,
}

impl Relay {
    pub fn new(db: Database, bus: EventBus) -> Self {
        Self { db, bus }
    }

    /// Runs until `shutdown`; a batch that was begun is finished.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::join!(self.publish_all(&shutdown), self.keep_house(&shutdown));
    }

    async fn publish_all(&self, shutdown: &CancellationToken) {
        let (mut link, mut backoff) = (None, Backoff::default());
        while !shutdown.is_cancelled() {
            let began = Instant::now();
            let pause = match self.round(&mut link).await {
                Ok(count) => {
                    backoff.reset();
                    if count == usize::try_from(BATCH).unwrap_or_default() {
                        Duration::ZERO
                    } else {
                        tokio::select! {
                            () = shutdown.cancelled() => {}
                            () = tokio::time::sleep(pace::rest(began.elapsed())) => {}
                        }
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
            }
        }
        if let Some(link) = link {
            link.close().await;
        }
    }

    /// Beside the publishing, as what waits has to be seen while nothing can be published.
    async fn keep_house(&self, shutdown: &CancellationToken) {
        let mut period = tokio::time::interval(HOUSEKEEPING_PERIOD);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = period.tick() => self.clean().await,
            }
        }
    }

    /// Publishes one batch and says how many rows it took.
    async fn round(&self, link: &mut Option<Link>) -> Result<usize, BusError> {
        if link.as_ref().is_none_or(|link| !link.is_open()) {
            *link = Some(self.bus.confirming().await?);
        }
        let Some(channel) = link.as_ref().map(|link| link.channel.clone()) else {
            return Err(BusError::Closed);
        };
        let source = format!("/sc/{}", self.bus.service());
        let (count, broken) = self
            .db
            .write(move |mut tx| async move {
                let rows = claim(&mut tx).await?;
                let count = rows.len();
                if rows.is_empty() {
                    return tx.rollback((0, false)).await;
                }
                let secrets: Vec<Uuid> = rows
                    .iter()
                    .filter(|row| row.is_secret())
                    .map(|row| row.id)
                    .collect();
                let round = publish(&channel, &source, messages(rows)).await;
                record(&mut tx, &round, secrets).await?;
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
                 SELECT o.id FROM {schema}.outbox o
                 LEFT JOIN {schema}.tasks t ON t.id = o.id AND t.state IN ('queued', 'running', 'waiting')
                 WHERE o.published_at < now() - {RETENTION} AND t.id IS NULL LIMIT 10000)"
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
        "SELECT id, type, subject, payload, traceparent, request_id, occurred_at, queue, attempts FROM {}.outbox
         WHERE published_at IS NULL AND due_at <= clock_timestamp()
         ORDER BY due_at, id LIMIT {BATCH} FOR UPDATE SKIP LOCKED",
        tx.schema()
    );
    Ok(sqlx::query_as(AssertSqlSafe(statement))
        .fetch_all(&mut **tx)
        .await?)
}

/// Which rows share a message, in the order in which those are published.
fn messages(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let places = rows.iter().map(|row| Place {
        event_type: row.shared_type(),
        subject: &row.subject,
        bytes: row.payload.len(),
    });
    let places = batch::places(places, ROOM);
    let mut messages: Vec<Vec<Row>> = Vec::new();
    for (row, place) in rows.into_iter().zip(places) {
        if place == messages.len() {
            messages.push(Vec::new());
        }
        messages[place].push(row);
    }
    messages
}

async fn publish(channel: &Channel, source: &str, messages: Vec<Vec<Row>>) -> Round {
    let attempts = messages.into_iter().map(|rows| async move {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let events = rows.into_iter().map(outgoing).collect();
        let outcome = match tokio::time::timeout(PATIENCE, confirm(channel, source, events)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("no answer in time".to_owned()),
        };
        (ids, outcome)
    });
    judge(join_all(attempts).await, channel.status().connected())
}

/// What the broker's answers to a batch mean.
///
/// A message that no queue takes is returned and confirmed all the same. lapin hands a returned message to the confirm that
/// completes next, which is another's as often as not: the message itself says which one came back, by the id of its first event. When a confirm is missing,
/// a returned message may be missing with it, and nothing of the batch is trusted. What is published twice has its effect once.
fn judge(outcomes: Vec<(Vec<Uuid>, Result<Confirmation, String>)>, connected: bool) -> Round {
    let returned: HashSet<Option<Uuid>> = outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Ok(Confirmation::Ack(message) | Confirmation::Nack(message)) => message.as_ref(),
            _ => None,
        })
        .map(message_id)
        .collect();
    let incomplete = outcomes.iter().any(|(_, outcome)| outcome.is_err());
    let doubtful = returned.contains(&None) || (incomplete && !returned.is_empty());
    let mut round = Round {
        broken: incomplete || !returned.is_empty() || !connected,
        ..Round::default()
    };
    for (ids, outcome) in outcomes {
        let said = match outcome {
            Err(said) => said,
            Ok(_) if returned.contains(&ids.first().copied()) => "no queue took it".to_owned(),
            Ok(Confirmation::Ack(_)) if !doubtful => {
                round.published.extend(ids);
                continue;
            }
            Ok(_) => "the broker did not confirm".to_owned(),
        };
        (round.failed).extend(ids.into_iter().map(|id| (id, said.clone())));
    }
    round
}

fn message_id(message: &BasicReturnMessage) -> Option<Uuid> {
    let id = message.delivery.properties.message_id().as_ref()?;
    Uuid::try_parse(id.as_str()).ok()
}

fn outgoing(row: Row) -> Outgoing {
    let context = RequestContext::for_event(row.request_id.as_deref(), row.traceparent.as_deref());
    let span = tracing::info_span!(
        "publish", otel.kind = "producer", otel.name = format!("{} publish", row.event_type),
        messaging.system = "rabbitmq", messaging.destination.name = row.queue.as_deref().unwrap_or(topology::EXCHANGE),
        event_id = %row.id, request_id = row.request_id.as_deref(),
    );
    context.adopt(&span);
    let envelope = Envelope {
        id: EventId(row.id),
        event_type: row.event_type,
        subject: row.subject,
        occurred_at: row.occurred_at,
        traceparent: span.in_scope(request_context::traceparent).or(row.traceparent),
        request_id: row.request_id,
    };
    Outgoing {
        envelope,
        payload: row.payload,
        queue: row.queue,
        _span: span,
    }
}

/// Publishes a message with these events, of one type.
async fn confirm(channel: &Channel, source: &str, events: Vec<Outgoing>) -> Result<Confirmation, String> {
    let Some(first) = events.first() else {
        return Err("a message without an event".to_owned());
    };
    let event_type = first.envelope.event_type.as_str();
    let (exchange, key, mandatory) = match &first.queue {
        Some(queue) => (topology::TASK_EXCHANGE, queue.as_str(), true),
        None => (topology::EXCHANGE, event_type, topology::has_queue(event_type)),
    };
    let options = BasicPublishOptions {
        mandatory,
        ..BasicPublishOptions::default()
    };
    let body;
    let (properties, payload) = if events.len() == 1 {
        (first.envelope.properties(source), first.payload.as_slice())
    } else {
        let pairs = events
            .iter()
            .map(|event| (&event.envelope, event.payload.as_slice()));
        body = batch::encode(source, pairs).map_err(|fault| fault.to_string())?;
        (
            batch::properties(first.envelope.id.0, events.len()),
            body.as_slice(),
        )
    };
    let confirm = channel
        .basic_publish(exchange.into(), key.into(), options, payload, properties)
        .await
        .map_err(|fault| fault.to_string())?;
    confirm.await.map_err(|fault| fault.to_string())
}

async fn record(tx: &mut WriteTx, round: &Round, mut secrets: Vec<Uuid>) -> Result<(), WriteError> {
    let schema = tx.schema();
    metrics::counter!("outbox_events_total", "outcome" => "published")
        .increment(round.published.len() as u64);
    metrics::counter!("outbox_events_total", "outcome" => "failed").increment(round.failed.len() as u64);
    secrets.retain(|id| round.published.contains(id));
    if !secrets.is_empty() {
        // A secret is kept by nobody who does not need it any more: its row goes at once.
        let statement = format!("DELETE FROM {schema}.outbox WHERE id = ANY($1)");
        sqlx::query(AssertSqlSafe(statement))
            .bind(secrets)
            .execute(&mut **tx)
            .await?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_nack_and_a_silence_fail_their_own_events_alone() {
        let outcomes = vec![
            (vec![id(1), id(4)], Ok(Confirmation::Ack(None))),
            (vec![id(2)], Ok(Confirmation::Nack(None))),
            (vec![id(3), id(5)], Err("no answer in time".to_owned())),
        ];
        let round = judge(outcomes, true);
        assert_eq!(round.published, [id(1), id(4)]);
        assert_eq!(
            round.failed.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [id(2), id(3), id(5)]
        );
        assert!(round.broken);
    }

    #[test]
    fn a_nack_keeps_the_connection() {
        assert!(!judge(vec![(vec![id(1)], Ok(Confirmation::Nack(None)))], true).broken);
    }
}
