//! Dead letters in the hands of an operator: look at them, have them tried again, drop them.

use std::collections::HashMap;

use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use sqlx::{AssertSqlSafe, PgConnection};
use typed_id::EventId;
use uuid::Uuid;

use crate::batch;
use crate::connection::{BusError, EventBus, Link, PATIENCE, hand_over};
use crate::envelope::Envelope;
use crate::topology::Queue;

/// Access to the dead-letter queues.
pub struct DeadLetters {
    link: Link,
}

/// A message that could not be handled.
#[derive(Debug)]
pub struct Letter {
    /// `None` when it is no event of ours.
    pub envelope: Option<Envelope>,
    pub payload: Vec<u8>,
    pub failure: Option<Failure>,
}

/// Why the consumer gave up.
#[derive(Debug, Clone)]
pub struct Failure {
    pub attempts: i32,
    pub last_error: String,
}

/// Which letters of a queue.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    All,
    One(EventId),
}

impl Which {
    fn holds(self, envelope: Option<&Envelope>) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => envelope.is_some_and(|envelope| envelope.id == id),
        }
    }
}

impl DeadLetters {
    pub async fn open(bus: &EventBus) -> Result<Self, BusError> {
        let link = bus.confirming().await?;
        Ok(Self { link })
    }

    pub async fn close(self) {
        self.link.close().await;
    }

    /// How many there are of each queue.
    pub async fn counts(&self) -> Result<Vec<(Queue, u32)>, BusError> {
        let mut counts = Vec::new();
        for queue in Queue::all() {
            counts.push((queue, self.count(&queue).await?));
        }
        Ok(counts)
    }

    /// The oldest letters of a queue, which stay where they are, with what the consumer's inbox knows of them.
    pub async fn look(
        &self,
        db: &mut PgConnection,
        queue: &Queue,
        which: Which,
        limit: usize,
    ) -> Result<Vec<Letter>, BusError> {
        let (mut letters, mut held) = (Vec::new(), Vec::new());
        let mut left = self.count(queue).await?;
        while left > 0 {
            left -= 1;
            let Some(message) = self.get(queue).await? else {
                break;
            };
            if let Some(events) = self.take_apart(queue, &message).await? {
                left += events;
                continue;
            }
            let envelope = Envelope::read(&message.properties);
            if which.holds(envelope.as_ref()) {
                letters.push(Letter {
                    envelope,
                    payload: message.data.clone(),
                    failure: None,
                });
            }
            held.push(message);
            if letters.len() == limit {
                break;
            }
        }
        put_back(held).await?;
        let mut failures = failures(db, queue, &letters).await?;
        for letter in &mut letters {
            letter.failure = letter
                .envelope
                .as_ref()
                .and_then(|envelope| failures.remove(&envelope.id.0));
        }
        Ok(letters)
    }

    /// Puts letters back into their own queue, with all their attempts before them; gives their number. One that is put back twice,
    /// as after a crash in between, has its effect once.
    pub async fn replay(
        &self,
        db: &mut PgConnection,
        queue: &Queue,
        which: Which,
    ) -> Result<usize, BusError> {
        let (mut count, mut held) = (0, Vec::new());
        let mut left = self.count(queue).await?;
        while left > 0 {
            left -= 1;
            let Some(message) = self.get(queue).await? else {
                break;
            };
            if let Some(events) = self.take_apart(queue, &message).await? {
                left += events;
                continue;
            }
            let envelope = Envelope::read(&message.properties);
            if !which.holds(envelope.as_ref()) {
                held.push(message);
                continue;
            }
            if let Some(envelope) = &envelope {
                forget_failure(db, queue, envelope.id).await?;
            }
            let properties = as_sent(&message.properties);
            hand_over(&self.link.channel, "", &queue.name(), properties, &message.data).await?;
            message.acker.ack(BasicAckOptions::default()).await?;
            count += 1;
        }
        put_back(held).await?;
        Ok(count)
    }

    /// Removes letters for good; gives their number.
    pub async fn remove(&self, queue: &Queue, which: Which) -> Result<usize, BusError> {
        let (mut count, mut held) = (0, Vec::new());
        let mut left = self.count(queue).await?;
        while left > 0 {
            left -= 1;
            let Some(message) = self.get(queue).await? else {
                break;
            };
            if let Some(events) = self.take_apart(queue, &message).await? {
                left += events;
                continue;
            }
            if which.holds(Envelope::read(&message.properties).as_ref()) {
                message.acker.ack(BasicAckOptions::default()).await?;
                count += 1;
            } else {
                held.push(message);
            }
        }
        put_back(held).await?;
        Ok(count)
    }

    /// Writes how many there are in the queues of a service to the metrics.
    pub async fn record_metrics(&self, service: &str) -> Result<(), BusError> {
        let schema = service.replace('-', "_");
        for queue in Queue::all().filter(|queue| queue.schema() == schema) {
            let count = self.count(&queue).await?;
            metrics::gauge!("dead_letters", "queue" => queue.name()).set(f64::from(count));
        }
        Ok(())
    }

    async fn count(&self, queue: &Queue) -> Result<u32, BusError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::durable()
        };
        let name = queue.dead_name();
        let declaring = self
            .link
            .channel
            .queue_declare(name.as_str().into(), options, FieldTable::default());
        Ok(tokio::time::timeout(PATIENCE, declaring).await??.message_count())
    }

    async fn get(&self, queue: &Queue) -> Result<Option<Message>, BusError> {
        let name = queue.dead_name();
        let getting = self
            .link
            .channel
            .basic_get(name.as_str().into(), BasicGetOptions::default());
        let got = tokio::time::timeout(PATIENCE, getting).await??;
        Ok(got.map(|message| message.delivery))
    }

    /// A message with several events becomes one for each, at the end of the dead-letter queue; their number, and `None` for any other.
    async fn take_apart(&self, queue: &Queue, message: &Message) -> Result<Option<u32>, BusError> {
        let Some(events) = batch::events_of(message).filter(|_| batch::is_batch(&message.properties)) else {
            return Ok(None);
        };
        let mut count = 0;
        for event in events {
            let properties = event.envelope.properties(&event.source);
            let channel = &self.link.channel;
            hand_over(channel, "", &queue.dead_name(), properties, event.payload).await?;
            count += 1;
        }
        message.acker.ack(BasicAckOptions::default()).await?;
        Ok(Some(count))
    }
}

/// Without what the broker wrote upon it when it died: those counts are of its past life.
pub(crate) fn as_sent(properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let brokers = name.as_str().starts_with("x-") && name.as_str() != "x-request-id";
        if !brokers {
            headers.insert(name.clone(), AMQPValue::clone(value));
        }
    }
    properties.clone().with_headers(headers)
}

/// `nack`, as from RabbitMQ 4.3 on it is not counted: a queue drops what was looked at too often.
async fn put_back(held: Vec<Message>) -> Result<(), BusError> {
    for message in held {
        let options = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        message.acker.nack(options).await?;
    }
    Ok(())
}

/// Events fail in the inbox of their consumer, tasks in their own record.
async fn failures(
    db: &mut PgConnection,
    queue: &Queue,
    letters: &[Letter],
) -> Result<HashMap<Uuid, Failure>, sqlx::Error> {
    let ids: Vec<Uuid> = letters
        .iter()
        .filter_map(|letter| Some(letter.envelope.as_ref()?.id.0))
        .collect();
    let schema = queue.schema();
    let statement = if queue.has_tasks() {
        format!("SELECT id, attempts, detail FROM {schema}.tasks WHERE $1 <> '' AND id = ANY($2)")
    } else {
        format!(
            "SELECT event_id, attempts, last_error FROM {schema}.inbox_failures
             WHERE consumer = $1 AND event_id = ANY($2)"
        )
    };
    let rows: Vec<(Uuid, i32, String)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(queue.name())
        .bind(ids)
        .fetch_all(db)
        .await?;
    let failure = |(id, attempts, last_error)| (id, Failure { attempts, last_error });
    Ok(rows.into_iter().map(failure).collect())
}

/// Gives a letter all its attempts back.
async fn forget_failure(db: &mut PgConnection, queue: &Queue, id: EventId) -> Result<(), sqlx::Error> {
    let schema = queue.schema();
    let statement = if queue.has_tasks() {
        format!(
            "UPDATE {schema}.tasks SET state = 'queued', attempts = 0, finished_at = NULL
             WHERE $1 <> '' AND id = $2 AND state = 'dead'"
        )
    } else {
        format!("DELETE FROM {schema}.inbox_failures WHERE consumer = $1 AND event_id = $2")
    };
    sqlx::query(AssertSqlSafe(statement))
        .bind(queue.name())
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}
