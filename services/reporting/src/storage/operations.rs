use sqlx::{PgExecutor, query, query_as, query_scalar};
use time::OffsetDateTime;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

/// A report that is being made, or was.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub id: Uuid,
    pub kind: String,
    pub format: String,
    pub course_id: Uuid,
    pub state: String,
    pub done: i32,
    pub total: i32,
    pub bytes: i64,
    pub fault: String,
    pub created_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
}

/// A report that is to be made.
#[derive(Debug, Clone)]
pub struct NewOperation {
    pub id: Uuid,
    pub kind: &'static str,
    pub format: &'static str,
    pub course: CourseId,
    pub owner: UserId,
    pub now: OffsetDateTime,
}

/// Begins a report, or finds the same one that its owner has made already: a write that changes nothing waits for who ends it just
/// now, so that there is always one of both.
pub async fn begin(db: impl PgExecutor<'_>, new: &NewOperation) -> Result<Operation, sqlx::Error> {
    query_as!(
        Operation,
        "INSERT INTO reporting.operations AS held
             (id, kind, format, course_id, owner_id, leased_until, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (owner_id, course_id, kind, format) WHERE state = 'running' DO UPDATE SET state = held.state
         RETURNING id, kind, format, course_id, state, done, total, bytes, fault, created_at, finished_at",
        new.id,
        new.kind,
        new.format,
        new.course.0,
        new.owner.0,
        new.now,
    )
    .fetch_one(db)
    .await
}

pub async fn of_owner(
    db: impl PgExecutor<'_>,
    id: Uuid,
    owner: UserId,
) -> Result<Option<Operation>, sqlx::Error> {
    query_as!(
        Operation,
        "SELECT id, kind, format, course_id, state, done, total, bytes, fault, created_at, finished_at
         FROM reporting.operations WHERE id = $1 AND owner_id = $2",
        id,
        owner.0,
    )
    .fetch_optional(db)
    .await
}

/// What whoever makes a report has to know.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub id: Uuid,
    pub kind: String,
    pub format: String,
    pub course_id: Uuid,
    pub tries: i32,
}

/// The oldest report that nobody makes.
pub async fn claim(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Option<Claimed>, sqlx::Error> {
    query_as!(
        Claimed,
        "UPDATE reporting.operations SET leased_until = $2, tries = tries + 1, done = 0
         WHERE id = (SELECT id FROM reporting.operations WHERE state = 'running' AND leased_until <= $1
                     ORDER BY leased_until, id FOR UPDATE SKIP LOCKED LIMIT 1)
         RETURNING id, kind, format, course_id, tries",
        now,
        until
    )
    .fetch_optional(db)
    .await
}

/// Progress, which renews the lease. False for who was overtaken.
pub async fn progress(
    db: impl PgExecutor<'_>,
    claimed: &Claimed,
    done: i32,
    total: i32,
    until: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let updated = query!(
        "UPDATE reporting.operations SET done = $3, total = $4, leased_until = $5
         WHERE id = $1 AND tries = $2 AND state = 'running'",
        claimed.id,
        claimed.tries,
        done,
        total,
        until
    )
    .execute(db)
    .await?;
    Ok(updated.rows_affected() == 1)
}

pub async fn succeed(
    db: impl PgExecutor<'_>,
    claimed: &Claimed,
    rows: i32,
    bytes: i64,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE reporting.operations SET state = 'succeeded', done = $3, total = $3, bytes = $4, finished_at = $5
         WHERE id = $1 AND tries = $2 AND state = 'running'",
        claimed.id,
        claimed.tries,
        rows,
        bytes,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Another try, at `at` and not when the lease ends.
pub async fn put_off(
    db: impl PgExecutor<'_>,
    claimed: &Claimed,
    at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE reporting.operations SET leased_until = $3 WHERE id = $1 AND tries = $2 AND state = 'running'",
        claimed.id,
        claimed.tries,
        at
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn fail(
    db: impl PgExecutor<'_>,
    claimed: &Claimed,
    fault: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE reporting.operations SET state = 'failed', fault = $3, finished_at = $4
         WHERE id = $1 AND tries = $2 AND state = 'running'",
        claimed.id,
        claimed.tries,
        fault,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes those that were over before a moment; their files are nobody's then.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = query!("DELETE FROM reporting.operations WHERE finished_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}

/// Which of these exist.
pub async fn known(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    query_scalar!("SELECT id FROM reporting.operations WHERE id = ANY($1)", ids)
        .fetch_all(db)
        .await
}

/// Reports that wait or are being made.
pub async fn count_running(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    query_scalar!(r#"SELECT count(*) AS "count!" FROM reporting.operations WHERE state = 'running'"#)
        .fetch_one(db)
        .await
}
