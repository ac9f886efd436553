use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::{EventId, NotificationId, UserId, least_uuid};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub id: NotificationId,
    pub kind: String,
    pub title: String,
    pub body: String,
    pub link: String,
    pub created_at: OffsetDateTime,
    pub read_at: Option<OffsetDateTime>,
}

/// A notification that is to be written.
#[derive(Debug, Clone)]
pub struct NewNotification {
    pub id: NotificationId,
    pub user_id: UserId,
    pub event_id: EventId,
    pub kind: &'static str,
    pub title: String,
    pub body: String,
    pub link: String,
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    kind: String,
    title: String,
    body: String,
    link: String,
    created_at: OffsetDateTime,
    read_at: Option<OffsetDateTime>,
}

impl From<Row> for Notification {
    fn from(row: Row) -> Self {
        Self {
            id: NotificationId(row.id),
            kind: row.kind,
            title: row.title,
            body: row.body,
            link: row.link,
            created_at: row.created_at,
            read_at: row.read_at,
        }
    }
}

/// Writes notifications, each unless there is one for its event and recipient; tells which were written.
pub async fn insert(db: impl PgExecutor<'_>, all: &[NewNotification]) -> Result<Vec<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = all.iter().map(|new| new.id.0).collect();
    let users: Vec<Uuid> = all.iter().map(|new| new.user_id.0).collect();
    let events: Vec<Uuid> = all.iter().map(|new| new.event_id.0).collect();
    let kinds: Vec<&str> = all.iter().map(|new| new.kind).collect();
    let titles: Vec<&str> = all.iter().map(|new| new.title.as_str()).collect();
    let bodies: Vec<&str> = all.iter().map(|new| new.body.as_str()).collect();
    let links: Vec<&str> = all.iter().map(|new| new.link.as_str()).collect();
    let moments: Vec<OffsetDateTime> = all.iter().map(|new| new.created_at).collect();
    sqlx::query_scalar!(
        "INSERT INTO notification.notifications (id, user_id, event_id, kind, title, body, link, created_at)
         SELECT * FROM unnest(
             $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
         ON CONFLICT (event_id, user_id) DO NOTHING
         RETURNING id",
        &ids,
        &users,
        &events,
        &kinds as &[&str],
        &titles as &[&str],
        &bodies as &[&str],
        &links as &[&str],
        &moments,
    )
    .fetch_all(db)
    .await
}

/// A user's notifications after an id, oldest first.
pub async fn page_after(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: NotificationId,
    limit: i64,
) -> Result<Vec<Notification>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, kind, title, body, link, created_at, read_at FROM notification.notifications
         WHERE user_id = (SELECT $1::uuid) AND id > (SELECT $2::uuid)
         ORDER BY id LIMIT (SELECT $3::bigint)",
        user.0,
        after.0,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Notification::from).collect())
}

/// A user's notifications, newest first, before `before`. The sub-selects here hide the values: plans are made once (docs/adr/0033).
pub async fn page(
    db: impl PgExecutor<'_>,
    user: UserId,
    only_unread: bool,
    before: Option<NotificationId>,
    limit: i64,
) -> Result<Vec<Notification>, sqlx::Error> {
    // Two statements, so that the partial index serves the unread ones.
    let before = before.map_or(Uuid::max(), |id| id.0);
    let rows = if only_unread {
        sqlx::query_as!(
            Row,
            "SELECT id, kind, title, body, link, created_at, read_at FROM notification.notifications
             WHERE user_id = (SELECT $1::uuid) AND read_at IS NULL AND id < (SELECT $2::uuid)
             ORDER BY id DESC LIMIT (SELECT $3::bigint)",
            user.0,
            before,
            limit,
        )
        .fetch_all(db)
        .await?
    } else {
        sqlx::query_as!(
            Row,
            "SELECT id, kind, title, body, link, created_at, read_at FROM notification.notifications
             WHERE user_id = (SELECT $1::uuid) AND id < (SELECT $2::uuid)
             ORDER BY id DESC LIMIT (SELECT $3::bigint)",
            user.0,
            before,
            limit,
        )
        .fetch_all(db)
        .await?
    };
    Ok(rows.into_iter().map(Notification::from).collect())
}

pub async fn count_unread(db: impl PgExecutor<'_>, user: UserId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM notification.notifications
           WHERE user_id = (SELECT $1::uuid) AND read_at IS NULL"#,
        user.0,
    )
    .fetch_one(db)
    .await
}

/// Marks one as read; the first reading counts. `None` when the user has no such notification.
pub async fn mark_read(
    db: impl PgExecutor<'_>,
    user: UserId,
    id: NotificationId,
    now: OffsetDateTime,
) -> Result<Option<Notification>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "UPDATE notification.notifications SET read_at = coalesce(read_at, $3) WHERE id = $1 AND user_id = $2
         RETURNING id, kind, title, body, link, created_at, read_at",
        id.0,
        user.0,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Notification::from))
}

/// Marks all as read and says how many became so.
pub async fn mark_all_read(
    db: impl PgExecutor<'_>,
    user: UserId,
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE notification.notifications SET read_at = $2 WHERE user_id = $1 AND read_at IS NULL",
        user.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets some that were made before a moment, from the oldest on: those that were read, or those that were not.
pub async fn purge(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
    were_read: bool,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    // Ids sort by when they were made. Two statements, so that the partial index serves those that were read.
    let before = least_uuid(before);
    let done = if were_read {
        sqlx::query!(
            "DELETE FROM notification.notifications WHERE id IN (
                 SELECT id FROM notification.notifications WHERE id < $1 AND read_at IS NOT NULL ORDER BY id LIMIT $2)",
            before,
            limit,
        )
        .execute(db)
        .await?
    } else {
        sqlx::query!(
            "DELETE FROM notification.notifications WHERE id IN (
                 SELECT id FROM notification.notifications WHERE id < $1 AND read_at IS NULL ORDER BY id LIMIT $2)",
            before,
            limit,
        )
        .execute(db)
        .await?
    };
    Ok(done.rows_affected())
}
