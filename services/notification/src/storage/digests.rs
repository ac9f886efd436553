use std::collections::HashMap;

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{EventId, UserId, new_uuid};
use uuid::Uuid;

use crate::domain::message::{Locale, Recipient};
use crate::domain::preference::Category;
use crate::domain::texts::DigestItem;

/// A message that is to be part of a summary.
#[derive(Debug, Clone)]
pub struct NewItem {
    pub user_id: UserId,
    pub event_id: EventId,
    pub kind: &'static str,
    pub category: Category,
    pub item: DigestItem,
    pub due_at: OffsetDateTime,
}

/// A summary that is due.
#[derive(Debug, Clone)]
pub struct Digest {
    pub id: Uuid,
    pub due_at: OffsetDateTime,
    pub to: Recipient,
    pub is_active: bool,
}

/// Adds messages to summaries, making those that do not exist yet.
pub async fn insert(
    db: &mut PgConnection,
    items: &[NewItem],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let new_ids = || -> Vec<Uuid> { items.iter().map(|_| new_uuid(now)).collect() };
    let users: Vec<Uuid> = items.iter().map(|new| new.user_id.0).collect();
    let moments: Vec<OffsetDateTime> = items.iter().map(|new| new.due_at).collect();
    sqlx::query!(
        "INSERT INTO notification.digests (user_id, due_at, id)
         SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) AS new (user_id, due_at, id)
         ORDER BY user_id, due_at
         ON CONFLICT (user_id, due_at) DO NOTHING",
        &users,
        &moments,
        &new_ids(),
    )
    .execute(&mut *db)
    .await?;
    let events: Vec<Uuid> = items.iter().map(|new| new.event_id.0).collect();
    let kinds: Vec<&str> = items.iter().map(|new| new.kind).collect();
    let categories: Vec<&str> = items.iter().map(|new| new.category.as_str()).collect();
    let titles: Vec<&str> = items.iter().map(|new| new.item.title.as_str()).collect();
    let bodies: Vec<&str> = items.iter().map(|new| new.item.body.as_str()).collect();
    let links: Vec<&str> = items.iter().map(|new| new.item.link.as_str()).collect();
    sqlx::query!(
        "INSERT INTO notification.digest_items
             (id, user_id, due_at, event_id, kind, category, title, body, link, created_at)
         SELECT *, $10 FROM unnest(
             $1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[])
         ON CONFLICT (event_id, user_id, kind) DO NOTHING",
        &new_ids(),
        &users,
        &moments,
        &events,
        &kinds as &[&str],
        &categories as &[&str],
        &titles as &[&str],
        &bodies as &[&str],
        &links as &[&str],
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks up to `limit` due summaries that nobody else holds.
pub async fn lock_due(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Digest>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT d.id, d.due_at, d.user_id, u.email, u.full_name, u.locale, u.is_active
         FROM notification.digests d JOIN notification.users u ON u.id = d.user_id
         WHERE d.due_at <= $1 ORDER BY d.due_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED",
        now,
        limit,
    )
    .fetch_all(db)
    .await?;
    let digests = rows.into_iter().map(|row| Digest {
        id: row.id,
        due_at: row.due_at,
        to: Recipient {
            user_id: UserId(row.user_id),
            address: row.email,
            name: row.full_name,
            locale: Locale::from_code(&row.locale),
        },
        is_active: row.is_active,
    });
    Ok(digests.collect())
}

/// The messages of summaries, by the summary's id, oldest first.
pub async fn items(
    db: impl PgExecutor<'_>,
    digests: &[Uuid],
) -> Result<HashMap<Uuid, Vec<DigestItem>>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT d.id, i.title, i.body, i.link FROM notification.digests d
         JOIN notification.digest_items i ON i.user_id = d.user_id AND i.due_at = d.due_at
         WHERE d.id = ANY ($1) ORDER BY i.id",
        digests,
    )
    .fetch_all(db)
    .await?;
    let mut items: HashMap<Uuid, Vec<DigestItem>> = HashMap::new();
    for row in rows {
        items.entry(row.id).or_default().push(DigestItem {
            title: row.title,
            body: row.body,
            link: row.link,
        });
    }
    Ok(items)
}

/// Removes summaries whose mails are queued, with their messages.
pub async fn remove(db: impl PgExecutor<'_>, digests: &[Digest]) -> Result<(), sqlx::Error> {
    let users: Vec<Uuid> = digests.iter().map(|digest| digest.to.user_id.0).collect();
    let moments: Vec<OffsetDateTime> = digests.iter().map(|digest| digest.due_at).collect();
    sqlx::query!(
        "DELETE FROM notification.digests
         WHERE (user_id, due_at) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]))",
        &users,
        &moments,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many messages wait for a summary.
pub async fn count_items(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM notification.digest_items"#)
        .fetch_one(db)
        .await
}
