use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};
use typed_id::{UserId, WebhookId};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    pub description: String,
    pub event_types: Vec<String>,
    pub is_active: bool,
    pub disabled_reason: Option<String>,
    pub failing_since: Option<OffsetDateTime>,
    pub last_success_at: Option<OffsetDateTime>,
    pub previous_until: Option<OffsetDateTime>,
    pub created_by: UserId,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    url: String,
    description: String,
    event_types: Vec<String>,
    is_active: bool,
    disabled_reason: Option<String>,
    failing_since: Option<OffsetDateTime>,
    last_success_at: Option<OffsetDateTime>,
    previous_until: Option<OffsetDateTime>,
    created_by: Uuid,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Webhook {
    fn from(row: Row) -> Self {
        Self {
            id: WebhookId(row.id),
            url: row.url,
            description: row.description,
            event_types: row.event_types,
            is_active: row.is_active,
            disabled_reason: row.disabled_reason,
            failing_since: row.failing_since,
            last_success_at: row.last_success_at,
            previous_until: row.previous_until,
            created_by: UserId(row.created_by),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub async fn insert(db: impl PgExecutor<'_>, webhook: &Webhook, secret: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO notification.webhooks
             (id, url, description, event_types, secret, created_by, created_at, updated_at, turn_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7)",
        webhook.id.0,
        webhook.url,
        webhook.description,
        &webhook.event_types,
        secret,
        webhook.created_by.0,
        webhook.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes others that count them wait until this transaction is over.
pub async fn lock_count(db: &mut sqlx::PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query!("LOCK TABLE notification.webhooks IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *db)
        .await?;
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM notification.webhooks"#)
        .fetch_one(db)
        .await
}

pub async fn by_id(db: impl PgExecutor<'_>, id: WebhookId) -> Result<Option<Webhook>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, url, description, event_types, is_active, disabled_reason, failing_since, last_success_at,
                previous_until, created_by, created_at, updated_at
         FROM notification.webhooks WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Webhook::from))
}

/// Whether it is on; it cannot be removed before the transaction is over.
pub async fn lock(db: impl PgExecutor<'_>, id: WebhookId) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT is_active FROM notification.webhooks WHERE id = $1 FOR KEY SHARE",
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// Those before `before`, newest first.
pub async fn page(
    db: impl PgExecutor<'_>,
    before: Option<WebhookId>,
    limit: i64,
) -> Result<Vec<Webhook>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, url, description, event_types, is_active, disabled_reason, failing_since, last_success_at,
                previous_until, created_by, created_at, updated_at
         FROM notification.webhooks WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Webhook::from).collect())
}

/// What changes; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub url: Option<String>,
    pub description: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub is_active: Option<bool>,
}

/// `None` when there is no such webhook. One that is turned on again starts without a past.
pub async fn update(
    db: impl PgExecutor<'_>,
    id: WebhookId,
    change: &Change,
    now: OffsetDateTime,
) -> Result<Option<Webhook>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "UPDATE notification.webhooks SET
             url = coalesce($2, url), description = coalesce($3, description), event_types = coalesce($4, event_types),
             is_active = coalesce($5, is_active), updated_at = $6,
             disabled_reason = CASE WHEN $5 THEN NULL WHEN NOT $5 THEN coalesce(disabled_reason, 'admin')
                                    ELSE disabled_reason END,
             failures = CASE WHEN $5 OR $2 <> url THEN 0 ELSE failures END,
             failing_since = CASE WHEN $5 OR $2 <> url THEN NULL ELSE failing_since END,
             turn_at = CASE WHEN $5 THEN least(turn_at, $6) ELSE turn_at END
         WHERE id = $1
         RETURNING id, url, description, event_types, is_active, disabled_reason, failing_since, last_success_at,
                   previous_until, created_by, created_at, updated_at",
        id.0,
        change.url,
        change.description,
        change.event_types.as_deref(),
        change.is_active,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Webhook::from))
}

/// Puts a new secret in place of the one there is, which signs too until then. The URL; `None` when there is no such webhook.
pub async fn rotate(
    db: impl PgExecutor<'_>,
    id: WebhookId,
    secret: &[u8],
    previous_until: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE notification.webhooks
         SET previous_secret = CASE WHEN $3::timestamptz > $4::timestamptz THEN secret END,
             previous_until = CASE WHEN $3 > $4 THEN $3 END,
             secret = $2, updated_at = $4
         WHERE id = $1 RETURNING url",
        id.0,
        secret,
        previous_until,
        now,
    )
    .fetch_optional(db)
    .await
}

/// The URL of the removed one.
pub async fn delete(db: impl PgExecutor<'_>, id: WebhookId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM notification.webhooks WHERE id = $1 RETURNING url",
        id.0
    )
    .fetch_optional(db)
    .await
}

/// A webhook in hand.
#[derive(Debug, Clone)]
pub struct Turn {
    pub id: WebhookId,
    pub url: String,
    /// Sealed; the newer first.
    pub secrets: Vec<Vec<u8>>,
}

/// Takes the webhook that waited longest of those with something due. Nobody else gets it before `lease` is over.
pub async fn take_turn(
    db: impl PgExecutor<'_>,
    lease: Duration,
    now: OffsetDateTime,
) -> Result<Option<Turn>, sqlx::Error> {
    let row = sqlx::query!(
        "UPDATE notification.webhooks SET turn_at = $2
         WHERE id = (
             SELECT w.id FROM notification.webhooks w
             WHERE w.is_active AND w.turn_at <= $1 AND EXISTS (
                 SELECT FROM notification.webhook_deliveries d
                 WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= $1)
             ORDER BY w.turn_at LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, url, secret, previous_secret, previous_until",
        now,
        now + lease,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let is_overlapping = row.previous_until.is_some_and(|until| until > now);
        let previous = row.previous_secret.filter(|_| is_overlapping);
        Turn {
            id: WebhookId(row.id),
            url: row.url,
            secrets: std::iter::once(row.secret).chain(previous).collect(),
        }
    }))
}

/// Where it posts to; nobody moves it until the transaction is over.
pub async fn lock_url(db: impl PgExecutor<'_>, id: WebhookId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT url FROM notification.webhooks WHERE id = $1 FOR NO KEY UPDATE",
        id.0
    )
    .fetch_optional(db)
    .await
}

/// Lets others have it from `at` on.
pub async fn end_turn(db: impl PgExecutor<'_>, id: WebhookId, at: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.webhooks SET turn_at = $2 WHERE id = $1",
        id.0,
        at
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn record_success(
    db: impl PgExecutor<'_>,
    id: WebhookId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.webhooks SET failures = 0, failing_since = NULL, last_success_at = $2 WHERE id = $1",
        id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many failures in a row there are now, and since when.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    pub failures: i32,
    pub since: OffsetDateTime,
}

/// `None` when the webhook was removed meanwhile.
pub async fn record_failure(
    db: impl PgExecutor<'_>,
    id: WebhookId,
    now: OffsetDateTime,
) -> Result<Option<Failing>, sqlx::Error> {
    sqlx::query_as!(
        Failing,
        r#"UPDATE notification.webhooks SET failures = failures + 1, failing_since = coalesce(failing_since, $2)
           WHERE id = $1 RETURNING failures, failing_since AS "since!""#,
        id.0,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Turns it off; `None` when it is off already.
pub async fn disable(
    db: impl PgExecutor<'_>,
    id: WebhookId,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Option<Webhook>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "UPDATE notification.webhooks SET is_active = false, disabled_reason = $2, updated_at = $3
         WHERE id = $1 AND is_active
         RETURNING id, url, description, event_types, is_active, disabled_reason, failing_since, last_success_at,
                   previous_until, created_by, created_at, updated_at",
        id.0,
        reason,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Webhook::from))
}
