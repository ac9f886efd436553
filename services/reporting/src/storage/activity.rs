use serde_json::Value;
use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::{CourseId, EventId, UserId};
use uuid::Uuid;

use crate::domain::fact::Fact;

/// Keeps what events of one kind told, each once, and marks their days that are over already. Nothing is kept under the id of who was
/// erased.
pub async fn insert(
    db: impl PgExecutor<'_>,
    kind: &str,
    told: &[(EventId, OffsetDateTime, Fact)],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = told.iter().map(|(id, ..)| id.0).collect();
    let moments: Vec<OffsetDateTime> = told.iter().map(|(_, at, _)| *at).collect();
    let facts = || told.iter().map(|(.., fact)| fact);
    let users: Vec<Option<Uuid>> = facts().map(|fact| fact.user_id.map(|id| id.0)).collect();
    let actors: Vec<Option<Uuid>> = facts().map(|fact| fact.actor_id.map(|id| id.0)).collect();
    let courses: Vec<Option<Uuid>> = facts().map(|fact| fact.course_id.map(|id| id.0)).collect();
    let subjects: Vec<Uuid> = facts().map(|fact| fact.subject_id).collect();
    let versions: Vec<i32> = facts().map(|fact| fact.version).collect();
    let percents: Vec<Option<f64>> = facts()
        .map(|fact| fact.grade.and_then(|grade| grade.percent))
        .collect();
    let passed: Vec<Option<bool>> = facts().map(|fact| fact.grade.map(|grade| grade.passed)).collect();
    let details: Vec<Value> = facts().map(|fact| fact.details.clone()).collect();
    sqlx::query!(
        "WITH added AS (
             INSERT INTO reporting.activity
                 (id, at, kind, user_id, course_id, subject_id, version, score_percent, passed, details, actor_id)
             SELECT t.id, t.at, $3::text, CASE WHEN e.user_id IS NULL THEN t.user_id END, t.course_id,
                    CASE WHEN e.user_id = t.subject_id THEN t.id ELSE t.subject_id END, t.version, t.score_percent,
                    t.passed, t.details, CASE WHEN a.user_id IS NULL THEN t.actor_id END
             FROM unnest($1::uuid[], $2::timestamptz[], $4::uuid[], $5::uuid[], $6::uuid[], $7::int[], $8::float8[],
                         $9::bool[], $10::jsonb[], $12::uuid[])
                  AS t (id, at, user_id, course_id, subject_id, version, score_percent, passed, details, actor_id)
             LEFT JOIN reporting.erased_users e ON e.user_id = t.user_id
             LEFT JOIN reporting.erased_users a ON a.user_id = t.actor_id
             ON CONFLICT DO NOTHING
             RETURNING at, kind, subject_id, version
         ), told AS (
             SELECT at FROM added
             -- Whether a later grade is another one depends on this.
             UNION
             SELECT l.at FROM added a JOIN reporting.activity l
                 ON l.subject_id = a.subject_id AND l.kind = 'exam.attempt_graded' AND l.version > a.version
             WHERE a.kind = 'exam.attempt_graded'
         )
         INSERT INTO reporting.stale_days (day)
         SELECT DISTINCT (at AT TIME ZONE 'Europe/Istanbul')::date AS day FROM told
         WHERE at < date_trunc('day', $11::timestamptz, 'Europe/Istanbul') ORDER BY day
         -- Locks a mark that is there, and changes nothing: who counts that day waits for this event.
         ON CONFLICT (day) DO UPDATE SET day = excluded.day WHERE false",
        &ids,
        &moments,
        kind,
        &users as &[Option<Uuid>],
        &courses as &[Option<Uuid>],
        &subjects,
        &versions,
        &percents as &[Option<f64>],
        &passed as &[Option<bool>],
        &details,
        now,
        &actors as &[Option<Uuid>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What part of the log is wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub user: Option<UserId>,
    pub course: Option<CourseId>,
    pub kind: Option<String>,
    pub from: Option<OffsetDateTime>,
    pub to: Option<OffsetDateTime>,
    /// Leaves out that an attempt was graded: its student learns that where the review policy allows.
    pub without_grades: bool,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    pub id: Uuid,
    pub at: OffsetDateTime,
    pub kind: String,
    pub user_id: Option<Uuid>,
    pub actor_id: Option<Uuid>,
    pub course_id: Option<Uuid>,
    pub subject_id: Uuid,
    pub details: Value,
}

/// Where a page begins: after this one.
pub type Place = (OffsetDateTime, Uuid);

/// Newest first.
pub async fn page(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    before: Option<Place>,
    limit: i64,
) -> Result<Vec<Activity>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    sqlx::query_as!(
        Activity,
        "SELECT id, at, kind, user_id, actor_id, course_id, subject_id, details FROM reporting.activity
         WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR course_id = $2)
           AND ($3::text IS NULL OR kind = $3)
           AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
           AND ($6::timestamptz IS NULL OR (at, id) < ($6, $7::uuid))
           AND (NOT $8::bool OR kind <> 'exam.attempt_graded')
         ORDER BY at DESC, id DESC LIMIT $9",
        filter.user.map(|id| id.0),
        filter.course.map(|id| id.0),
        filter.kind,
        filter.from,
        filter.to,
        before_at,
        before_id,
        filter.without_grades,
        limit,
    )
    .fetch_all(db)
    .await
}

/// What came to be kept of people while they were erased; gives the number of lines.
pub async fn forget_erased(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE reporting.activity a
         SET user_id = NULL, subject_id = CASE WHEN a.subject_id = a.user_id THEN a.id ELSE a.subject_id END
         FROM reporting.erased_users e WHERE a.user_id = e.user_id"
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Likewise of what they did.
pub async fn forget_erased_actors(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE reporting.activity a SET actor_id = NULL FROM reporting.erased_users e WHERE a.actor_id = e.user_id"
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
