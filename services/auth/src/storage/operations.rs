use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub id: Uuid,
    pub kind: String,
    pub owner_id: UserId,
    /// Whose data it is about, where that is not the owner's.
    pub subject_id: Option<UserId>,
    pub state: String,
    pub done: i32,
    pub total: i32,
    pub fault: String,
    pub has_result: bool,
    pub created_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
}

struct Row {
    id: Uuid,
    kind: String,
    owner_id: Uuid,
    subject_id: Option<Uuid>,
    state: String,
    done: i32,
    total: i32,
    fault: String,
    has_result: bool,
    created_at: OffsetDateTime,
    finished_at: Option<OffsetDateTime>,
}

impl From<Row> for Operation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            owner_id: UserId(row.owner_id),
            subject_id: row.subject_id.map(UserId),
            state: row.state,
            done: row.done,
            total: row.total,
            fault: row.fault,
            has_result: row.has_result,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// An operation that is to be begun.
#[derive(Debug, Clone)]
pub struct NewOperation {
    pub id: Uuid,
    pub kind: &'static str,
    pub owner: UserId,
    pub subject: Option<UserId>,
    pub total: i32,
    pub input: Option<Vec<u8>>,
    pub options: Value,
    pub now: OffsetDateTime,
}

pub async fn insert(db: &mut PgConnection, new: &NewOperation) -> Result<Operation, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"INSERT INTO auth.operations (id, kind, owner_id, total, input, options, leased_until, created_at, subject_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
           RETURNING id, kind, owner_id, subject_id, state, done, total, fault, result IS NOT NULL AS "has_result!", created_at, finished_at"#,
        new.id,
        new.kind,
        new.owner.0,
        new.total,
        new.input,
        new.options,
        new.now,
        new.subject.map(|id| id.0),
    )
    .fetch_one(db)
    .await?;
    Ok(row.into())
}

pub async fn by_id(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Operation>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, kind, owner_id, subject_id, state, done, total, fault, result IS NOT NULL AS "has_result!", created_at, finished_at
           FROM auth.operations WHERE id = $1"#,
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Operation::from))
}

/// A user's latest operation of a kind, and about whom, since a moment that has not failed.
pub async fn latest(
    db: impl PgExecutor<'_>,
    owner: UserId,
    subject: Option<UserId>,
    kind: &str,
    since: OffsetDateTime,
) -> Result<Option<Operation>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, kind, owner_id, subject_id, state, done, total, fault, result IS NOT NULL AS "has_result!", created_at, finished_at
           FROM auth.operations WHERE owner_id = $1 AND kind = $2 AND created_at > $3 AND state <> 'failed'
             AND subject_id IS NOT DISTINCT FROM $4
           ORDER BY id DESC LIMIT 1"#,
        owner.0,
        kind,
        since,
        subject.map(|id| id.0),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Operation::from))
}

/// A piece of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Empty behind the end.
    pub content: Vec<u8>,
    /// Of all of it.
    pub bytes: i32,
}

/// So many bytes of a result after the first `skipped`; `None` where there is no result.
pub async fn result(
    db: impl PgExecutor<'_>,
    id: Uuid,
    skipped: i32,
    bytes: i32,
) -> Result<Option<Piece>, sqlx::Error> {
    sqlx::query_as!(
        Piece,
        r#"SELECT substr(result, $2::int + 1, $3::int) AS "content!", octet_length(result) AS "bytes!"
           FROM auth.operations WHERE id = $1 AND result IS NOT NULL"#,
        id,
        skipped,
        bytes,
    )
    .fetch_optional(db)
    .await
}

/// What whoever works on an operation has to know.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub id: Uuid,
    pub kind: String,
    pub owner_id: Uuid,
    pub subject_id: Option<Uuid>,
    pub input: Option<Vec<u8>>,
    pub options: Value,
    pub tries: i32,
}

/// The oldest operation that nobody works on.
pub async fn claim(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Option<Claimed>, sqlx::Error> {
    sqlx::query_as!(
        Claimed,
        "UPDATE auth.operations SET leased_until = $2, tries = tries + 1, done = 0
         WHERE id = (SELECT id FROM auth.operations
                     WHERE state = 'running' AND kind <> 'erasure' AND leased_until <= $1
                     ORDER BY leased_until, id FOR UPDATE SKIP LOCKED LIMIT 1)
         RETURNING id, kind, owner_id, subject_id, input, options, tries",
        now,
        until
    )
    .fetch_optional(db)
    .await
}

/// Progress, which renews the lease.
pub async fn progress(
    db: impl PgExecutor<'_>,
    id: Uuid,
    done: i32,
    total: i32,
    until: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.operations SET done = $2, total = $3, leased_until = $4 WHERE id = $1 AND state = 'running'",
        id,
        done,
        total,
        until
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn succeed(
    db: impl PgExecutor<'_>,
    id: Uuid,
    result: &[u8],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.operations SET state = 'succeeded', result = $2, finished_at = $3, input = NULL, done = total
         WHERE id = $1 AND state = 'running'",
        id,
        result,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn fail(
    db: impl PgExecutor<'_>,
    id: Uuid,
    fault: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.operations SET state = 'failed', fault = $2, finished_at = $3, input = NULL
         WHERE id = $1 AND state = 'running'",
        id,
        fault,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes those that were over before a moment.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.operations WHERE finished_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
