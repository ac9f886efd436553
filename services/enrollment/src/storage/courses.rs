use std::collections::HashMap;

use sqlx::{PgConnection, PgExecutor};
use typed_id::{CourseId, UserId};
use uuid::Uuid;

/// What this service keeps of a course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub id: CourseId,
    pub version: i32,
    pub title: String,
    pub teacher_id: UserId,
    pub is_published: bool,
    pub is_archived: bool,
    pub seat_limit: Option<i32>,
    pub prerequisite_ids: Vec<Uuid>,
}

impl Course {
    /// Whether students may see it.
    pub fn is_open(&self) -> bool {
        self.is_published && !self.is_archived
    }
}

struct Row {
    id: Uuid,
    version: i32,
    title: String,
    teacher_id: Uuid,
    is_published: bool,
    is_archived: bool,
    seat_limit: Option<i32>,
    prerequisite_ids: Vec<Uuid>,
}

impl From<Row> for Course {
    fn from(row: Row) -> Self {
        Self {
            id: CourseId(row.id),
            version: row.version,
            title: row.title,
            teacher_id: UserId(row.teacher_id),
            is_published: row.is_published,
            is_archived: row.is_archived,
            seat_limit: row.seat_limit,
            prerequisite_ids: row.prerequisite_ids,
        }
    }
}

pub async fn by_id(db: impl PgExecutor<'_>, id: CourseId) -> Result<Option<Course>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, version, title, teacher_id, is_published, is_archived, seat_limit, prerequisite_ids
         FROM enrollment.courses WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Course::from))
}

/// The courses, locked in one order until the transaction ends: whoever takes seats of them takes turns.
pub async fn lock(db: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Course>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, version, title, teacher_id, is_published, is_archived, seat_limit, prerequisite_ids
         FROM enrollment.courses WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Course::from).collect())
}

/// Titles of those of the courses that students may see.
pub async fn open_titles(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, String>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, title FROM enrollment.courses WHERE id = ANY ($1) AND is_published AND NOT is_archived",
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.title)).collect())
}

/// Locks the course against a change of its seats and gives its seat limit. With a limit, enrolments of the course take turns.
pub async fn lock_seats(
    db: &mut PgConnection,
    id: CourseId,
    limited: bool,
) -> Result<Option<i32>, sqlx::Error> {
    if limited {
        sqlx::query_scalar!(
            "SELECT seat_limit FROM enrollment.courses WHERE id = $1 FOR UPDATE",
            id.0
        )
        .fetch_one(db)
        .await
    } else {
        sqlx::query_scalar!(
            "SELECT seat_limit FROM enrollment.courses WHERE id = $1 FOR SHARE",
            id.0
        )
        .fetch_one(db)
        .await
    }
}

/// Writes the projection unless it knows a newer version.
pub async fn upsert(db: impl PgExecutor<'_>, course: &Course) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO enrollment.courses AS c
             (id, version, title, teacher_id, is_published, is_archived, seat_limit, prerequisite_ids)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, title = excluded.title, teacher_id = excluded.teacher_id,
             is_published = excluded.is_published, is_archived = excluded.is_archived,
             seat_limit = excluded.seat_limit, prerequisite_ids = excluded.prerequisite_ids
         WHERE c.version < excluded.version",
        course.id.0,
        course.version,
        course.title,
        course.teacher_id.0,
        course.is_published,
        course.is_archived,
        course.seat_limit,
        &course.prerequisite_ids,
    )
    .execute(db)
    .await?;
    Ok(())
}
