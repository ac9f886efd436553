use serde_json::Value;
use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub id: Uuid,
    pub at: OffsetDateTime,
    pub actor_id: Option<UserId>,
    /// Who acted under the actor's name.
    pub impersonator_id: Option<UserId>,
    pub action: String,
    pub target_kind: String,
    pub target_id: String,
    pub ip: String,
    pub request_id: String,
    pub details: Value,
}

struct Row {
    id: Uuid,
    at: OffsetDateTime,
    actor_id: Option<Uuid>,
    on_behalf: Option<Uuid>,
    action: String,
    target_kind: String,
    target_id: String,
    ip: String,
    request_id: String,
    details: Value,
}

/// What entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub actor: Option<UserId>,
    pub target: Option<String>,
    pub action: Option<String>,
}

pub async fn insert(db: impl PgExecutor<'_>, entry: &Entry) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.audit_log
             (id, at, actor_id, on_behalf, action, target_kind, target_id, ip, request_id, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        entry.id,
        entry.at,
        entry.actor_id.map(|id| id.0),
        entry.impersonator_id.map(|id| id.0),
        entry.action,
        entry.target_kind,
        entry.target_id,
        entry.ip,
        entry.request_id,
        entry.details,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Entries before `before`, newest first.
pub async fn page(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, at, actor_id, on_behalf, action, target_kind, target_id, ip, request_id, details
         FROM auth.audit_log
         WHERE ($1::uuid IS NULL OR actor_id = $1) AND ($2::text IS NULL OR target_id = $2)
           AND ($3::text IS NULL OR action = $3) AND ($4::uuid IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5",
        filter.actor.map(|id| id.0),
        filter.target,
        filter.action,
        before,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Entry {
            id: row.id,
            at: row.at,
            actor_id: row.actor_id.map(UserId),
            impersonator_id: row.on_behalf.map(UserId),
            action: row.action,
            target_kind: row.target_kind,
            target_id: row.target_id,
            ip: row.ip,
            request_id: row.request_id,
            details: row.details,
        })
        .collect())
}
