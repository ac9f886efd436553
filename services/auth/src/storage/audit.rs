use postgres::Database;
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
    /// From that moment on.
    pub from: Option<OffsetDateTime>,
    /// Before that moment.
    pub to: Option<OffsetDateTime>,
}

pub async fn insert(db: impl PgExecutor<'_>, entry: &Entry) -> Result<(), sqlx::Error> {
    insert_all(db, std::slice::from_ref(entry)).await
}

/// Adds lines in one statement.
pub async fn insert_all(db: impl PgExecutor<'_>, entries: &[Entry]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id).collect();
    let moments: Vec<OffsetDateTime> = entries.iter().map(|entry| entry.at).collect();
    let actors: Vec<Option<Uuid>> = entries
        .iter()
        .map(|entry| entry.actor_id.map(|id| id.0))
        .collect();
    let impersonators: Vec<Option<Uuid>> = entries
        .iter()
        .map(|entry| entry.impersonator_id.map(|id| id.0))
        .collect();
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.target_kind.as_str()).collect();
    let targets: Vec<&str> = entries.iter().map(|entry| entry.target_id.as_str()).collect();
    let ips: Vec<&str> = entries.iter().map(|entry| entry.ip.as_str()).collect();
    let requests: Vec<&str> = entries.iter().map(|entry| entry.request_id.as_str()).collect();
    let details: Vec<Value> = entries.iter().map(|entry| entry.details.clone()).collect();
    sqlx::query!(
        "INSERT INTO auth.audit_log
             (id, at, actor_id, on_behalf, action, target_kind, target_id, ip, request_id, details)
         SELECT * FROM unnest(
             $1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::jsonb[])",
        &ids,
        &moments,
        &actors as &[Option<Uuid>],
        &impersonators as &[Option<Uuid>],
        &actions as &[&str],
        &kinds as &[&str],
        &targets as &[&str],
        &ips as &[&str],
        &requests as &[&str],
        &details,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes the partitions of this month and the next two, and sees to it that the log is not in this service's own hands: whoever has
/// its password, or finds a hole in it, can add rows and no more. deploy/roles.sql has the function.
pub async fn keep_log(db: &Database) -> Result<(), sqlx::Error> {
    let is_known: bool =
        sqlx::query_scalar("SELECT to_regprocedure('auth.keep_audit_log(integer)') IS NOT NULL")
            .fetch_one(db.primary())
            .await?;
    if !is_known {
        tracing::warn!(
            "the audit log belongs to auth's own role, which could change it: run deploy/roles.sql again"
        );
        return postgres::ensure_months(db, "audit_log", 3).await;
    }
    sqlx::query("SELECT auth.keep_audit_log(3)")
        .execute(db.primary())
        .await?;
    Ok(())
}

/// Entries before `before`, newest first. Months outside of the time that is wanted are not read.
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
           AND at >= coalesce($6::timestamptz, '-infinity') AND at < coalesce($7::timestamptz, 'infinity')
         ORDER BY id DESC LIMIT $5",
        filter.actor.map(|id| id.0),
        filter.target,
        filter.action,
        before,
        limit,
        filter.from,
        filter.to,
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
