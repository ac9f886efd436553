use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{EventId, WebhookDeliveryId, WebhookId};
use uuid::Uuid;

use crate::domain::webhook::{Message, Outcome};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: WebhookDeliveryId,
    pub webhook_id: WebhookId,
    pub message_id: EventId,
    pub event_type: String,
    pub state: String,
    pub attempts: i32,
    pub created_at: OffsetDateTime,
    pub next_attempt_at: OffsetDateTime,
    pub last_attempt_at: Option<OffsetDateTime>,
    pub last_status: Option<i32>,
    pub last_error: String,
    pub last_response: String,
    pub last_duration_ms: i32,
}

struct Row {
    id: Uuid,
    webhook_id: Uuid,
    message_id: Uuid,
    event_type: String,
    state: String,
    attempts: i32,
    created_at: OffsetDateTime,
    next_attempt_at: OffsetDateTime,
    last_attempt_at: Option<OffsetDateTime>,
    last_status: Option<i32>,
    last_error: String,
    last_response: String,
    last_duration_ms: i32,
}

impl From<Row> for Delivery {
    fn from(row: Row) -> Self {
        Self {
            id: WebhookDeliveryId(row.id),
            webhook_id: WebhookId(row.webhook_id),
            message_id: EventId(row.message_id),
            event_type: row.event_type,
            state: row.state,
            attempts: row.attempts,
            created_at: row.created_at,
            next_attempt_at: row.next_attempt_at,
            last_attempt_at: row.last_attempt_at,
            last_status: row.last_status,
            last_error: row.last_error,
            last_response: row.last_response,
            last_duration_ms: row.last_duration_ms,
        }
    }
}

/// Webhooks that want events of a type; none of them can be removed before the transaction is over.
pub async fn subscribers(db: impl PgExecutor<'_>, event_type: &str) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM notification.webhooks WHERE is_active AND $1 = ANY (event_types) ORDER BY id FOR KEY SHARE",
        event_type,
    )
    .fetch_all(db)
    .await
}

/// Queues messages for webhooks, each for each unless it was, and none about who was erased; the new deliveries.
pub async fn insert(
    db: &mut PgConnection,
    messages: &[Message],
    webhooks: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let (bodies, users): (Vec<&str>, Vec<Option<Uuid>>) = messages
        .iter()
        .map(|message| (message.body.as_str(), message.user_id))
        .unzip();
    let types: Vec<&str> = messages.iter().map(|message| message.event_type).collect();
    let message_ids: Vec<Uuid> = messages.iter().map(|message| message.id.0).collect();
    sqlx::query!(
        "INSERT INTO notification.webhook_messages (id, event_type, body, user_id, created_at)
         SELECT told.*, $5 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
             AS told (id, event_type, body, user_id)
         WHERE NOT EXISTS (SELECT FROM notification.erased_users e WHERE e.user_id = told.user_id)
         ON CONFLICT (id) DO NOTHING",
        &message_ids,
        &types as &[&str],
        &bodies as &[&str],
        &users as &[Option<Uuid>],
        now,
    )
    .execute(&mut *db)
    .await?;
    let pairs = message_ids
        .iter()
        .flat_map(|message| webhooks.iter().map(move |webhook| (*message, *webhook)));
    let (message_ids, webhooks): (Vec<Uuid>, Vec<Uuid>) = pairs.unzip();
    let ids: Vec<Uuid> = webhooks.iter().map(|_| WebhookDeliveryId::new(now).0).collect();
    sqlx::query_scalar!(
        "INSERT INTO notification.webhook_deliveries (id, webhook_id, message_id, created_at, queued_at, next_attempt_at)
         SELECT asked.*, $4, $4, $4 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])
             AS asked (id, webhook_id, message_id)
         WHERE EXISTS (SELECT FROM notification.webhook_messages m WHERE m.id = asked.message_id)
         ON CONFLICT (message_id, webhook_id) DO NOTHING RETURNING id",
        &ids,
        &webhooks,
        &message_ids,
        now,
    )
    .fetch_all(db)
    .await
}

/// A delivery that is due.
#[derive(Debug, Clone)]
pub struct Due {
    pub id: Uuid,
    pub message_id: Uuid,
    pub event_type: String,
    pub body: String,
    pub attempts: i32,
    pub queued_at: OffsetDateTime,
}

/// The types of what is kept for a webhook, waiting or done; tests of the webhook itself are nobody's.
pub async fn kept_types(db: impl PgExecutor<'_>, webhook: WebhookId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT m.event_type FROM notification.webhook_deliveries d
         JOIN notification.webhook_messages m ON m.id = d.message_id
         WHERE d.webhook_id = $1 AND m.event_type <> 'webhook.test'",
        webhook.0,
    )
    .fetch_all(db)
    .await
}

/// Nothing once the webhook has moved from `url`: it is another's to post there.
pub async fn next_due(
    db: impl PgExecutor<'_>,
    webhook: WebhookId,
    url: &str,
    now: OffsetDateTime,
) -> Result<Option<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        "SELECT d.id, d.message_id, m.event_type, m.body, d.attempts, d.queued_at
         FROM notification.webhook_deliveries d JOIN notification.webhook_messages m ON m.id = d.message_id
         JOIN notification.webhooks w ON w.id = d.webhook_id AND w.is_active AND w.url = $3
         WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at <= $2
         ORDER BY d.next_attempt_at LIMIT 1",
        webhook.0,
        now,
        url,
    )
    .fetch_optional(db)
    .await
}

/// Records a try. `next`: when it is tried again. One that was put back into the queue meanwhile stays there.
pub async fn record(
    db: impl PgExecutor<'_>,
    due: &Due,
    outcome: &Outcome,
    next: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let state = match (outcome.is_taken(), next) {
        (true, _) => "delivered",
        (false, Some(_)) => "pending",
        (false, None) => "failed",
    };
    sqlx::query!(
        "UPDATE notification.webhook_deliveries
         SET state = CASE WHEN queued_at = $9 THEN $2 ELSE state END,
             attempts = CASE WHEN queued_at = $9 THEN attempts + 1 ELSE attempts END, last_attempt_at = $3,
             next_attempt_at = CASE WHEN queued_at = $9 THEN coalesce($4, next_attempt_at) ELSE next_attempt_at END,
             last_status = $5, last_error = $6, last_response = $7, last_duration_ms = $8
         WHERE id = $1",
        due.id,
        state,
        now,
        next,
        outcome.status.map(i32::from),
        outcome.error,
        outcome.response,
        i32::try_from(outcome.took.as_millis()).unwrap_or(i32::MAX),
        due.queued_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deliveries of a webhook before `before`, newest first.
pub async fn page(
    db: impl PgExecutor<'_>,
    webhook: WebhookId,
    state: Option<&str>,
    before: Option<WebhookDeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let before = before.map(|id| id.0);
    // Two statements, as each has an index of its own.
    let rows = if let Some(state) = state {
        sqlx::query_as!(
            Row,
            "SELECT d.id, d.webhook_id, d.message_id, m.event_type, d.state, d.attempts, d.created_at, d.next_attempt_at,
                    d.last_attempt_at, d.last_status, d.last_error, d.last_response, d.last_duration_ms
             FROM notification.webhook_deliveries d JOIN notification.webhook_messages m ON m.id = d.message_id
             WHERE d.webhook_id = $1 AND d.state = $2 AND ($3::uuid IS NULL OR d.id < $3) ORDER BY d.id DESC LIMIT $4",
            webhook.0,
            state,
            before,
            limit,
        )
        .fetch_all(db)
        .await?
    } else {
        sqlx::query_as!(
            Row,
            "SELECT d.id, d.webhook_id, d.message_id, m.event_type, d.state, d.attempts, d.created_at, d.next_attempt_at,
                    d.last_attempt_at, d.last_status, d.last_error, d.last_response, d.last_duration_ms
             FROM notification.webhook_deliveries d JOIN notification.webhook_messages m ON m.id = d.message_id
             WHERE d.webhook_id = $1 AND ($2::uuid IS NULL OR d.id < $2) ORDER BY d.id DESC LIMIT $3",
            webhook.0,
            before,
            limit,
        )
        .fetch_all(db)
        .await?
    };
    Ok(rows.into_iter().map(Delivery::from).collect())
}

/// Locks a delivery against being removed; whether its webhook is on.
pub async fn lock(
    db: impl PgExecutor<'_>,
    id: WebhookDeliveryId,
) -> Result<Option<(Delivery, bool)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT d.id, d.webhook_id, d.message_id, m.event_type, d.state, d.attempts, d.created_at, d.next_attempt_at,
                d.last_attempt_at, d.last_status, d.last_error, d.last_response, d.last_duration_ms, w.is_active
         FROM notification.webhook_deliveries d JOIN notification.webhook_messages m ON m.id = d.message_id
             JOIN notification.webhooks w ON w.id = d.webhook_id
         WHERE d.id = $1 FOR UPDATE OF d",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let delivery = Row {
            id: row.id,
            webhook_id: row.webhook_id,
            message_id: row.message_id,
            event_type: row.event_type,
            state: row.state,
            attempts: row.attempts,
            created_at: row.created_at,
            next_attempt_at: row.next_attempt_at,
            last_attempt_at: row.last_attempt_at,
            last_status: row.last_status,
            last_error: row.last_error,
            last_response: row.last_response,
            last_duration_ms: row.last_duration_ms,
        };
        (delivery.into(), row.is_active)
    }))
}

/// Makes it due now, with all tries.
pub async fn requeue(
    db: impl PgExecutor<'_>,
    id: WebhookDeliveryId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.webhook_deliveries
         SET state = 'pending', attempts = 0, queued_at = $2, next_attempt_at = $2 WHERE id = $1",
        id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets some messages of before, with their deliveries.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM notification.webhook_messages WHERE id IN (
             SELECT id FROM notification.webhook_messages WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
        before,
        limit,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// How many wait for webhooks that are on, and since when the oldest of them is due.
pub async fn waiting(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
) -> Result<(i64, Option<OffsetDateTime>), sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(d.next_attempt_at) FILTER (WHERE d.next_attempt_at <= $1) AS oldest
           FROM notification.webhook_deliveries d JOIN notification.webhooks w ON w.id = d.webhook_id
           WHERE d.state = 'pending' AND w.is_active"#,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok((row.count, row.oldest))
}
