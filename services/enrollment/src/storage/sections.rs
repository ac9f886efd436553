use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, SectionId};
use uuid::Uuid;

/// A section of a course, and how many have a seat in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub id: SectionId,
    pub course_id: CourseId,
    pub name: String,
    pub term: String,
    pub starts_at: Option<OffsetDateTime>,
    pub ends_at: Option<OffsetDateTime>,
    pub seat_limit: Option<i32>,
    pub seats_taken: i64,
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    course_id: Uuid,
    name: String,
    term: String,
    starts_at: Option<OffsetDateTime>,
    ends_at: Option<OffsetDateTime>,
    seat_limit: Option<i32>,
    seats_taken: i64,
    created_at: OffsetDateTime,
}

impl From<Row> for Section {
    fn from(row: Row) -> Self {
        Self {
            id: SectionId(row.id),
            course_id: CourseId(row.course_id),
            name: row.name,
            term: row.term,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            seat_limit: row.seat_limit,
            seats_taken: row.seats_taken,
            created_at: row.created_at,
        }
    }
}

/// Locks the sections of courses: whoever takes a seat in one waits for whoever took one before. The seats are exact while they are
/// locked.
pub async fn lock_of_courses(db: &mut PgConnection, courses: &[Uuid]) -> Result<Vec<Section>, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM enrollment.sections WHERE course_id = ANY ($1) ORDER BY id FOR UPDATE",
        courses
    )
    .fetch_all(&mut *db)
    .await?;
    if locked.is_empty() {
        return Ok(Vec::new());
    }
    // A statement of its own: it sees what those before have committed.
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT s.id AS "id!", s.course_id AS "course_id!", s.name AS "name!", s.term AS "term!", s.starts_at AS "starts_at?",
                  s.ends_at AS "ends_at?", s.seat_limit AS "seat_limit?", s.created_at AS "created_at!",
                  (SELECT count(*) FROM enrollment.enrollments e
                   WHERE e.section_id = s.id AND e.status IN ('active', 'suspended')) AS "seats_taken!"
           FROM enrollment.sections s WHERE s.id = ANY ($1)"#,
        &locked,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Section::from).collect())
}

/// Sections of a course, newest first, before `before`.
pub async fn page(
    db: impl PgExecutor<'_>,
    course: CourseId,
    before: Option<SectionId>,
    limit: i64,
) -> Result<Vec<Section>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT s.id AS "id!", s.course_id AS "course_id!", s.name AS "name!", s.term AS "term!", s.starts_at AS "starts_at?",
                  s.ends_at AS "ends_at?", s.seat_limit AS "seat_limit?", s.created_at AS "created_at!",
                  (SELECT count(*) FROM enrollment.enrollments e
                   WHERE e.section_id = s.id AND e.status IN ('active', 'suspended')) AS "seats_taken!"
           FROM enrollment.sections s
           WHERE s.course_id = $1 AND ($2::uuid IS NULL OR s.id < $2)
           ORDER BY s.id DESC LIMIT $3"#,
        course.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Section::from).collect())
}

pub async fn by_id(db: impl PgExecutor<'_>, id: SectionId) -> Result<Option<Section>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT s.id AS "id!", s.course_id AS "course_id!", s.name AS "name!", s.term AS "term!", s.starts_at AS "starts_at?",
                  s.ends_at AS "ends_at?", s.seat_limit AS "seat_limit?", s.created_at AS "created_at!",
                  (SELECT count(*) FROM enrollment.enrollments e
                   WHERE e.section_id = s.id AND e.status IN ('active', 'suspended')) AS "seats_taken!"
           FROM enrollment.sections s WHERE s.id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Section::from))
}

pub async fn insert(db: &mut PgConnection, new: &Section) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO enrollment.sections
             (id, course_id, name, term, starts_at, ends_at, seat_limit, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        new.id.0,
        new.course_id.0,
        new.name,
        new.term,
        new.starts_at,
        new.ends_at,
        new.seat_limit,
        new.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes all that may change of a section.
pub async fn update(
    db: &mut PgConnection,
    section: &Section,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE enrollment.sections
         SET name = $2, term = $3, starts_at = $4, ends_at = $5, seat_limit = $6, updated_at = $7 WHERE id = $1",
        section.id.0,
        section.name,
        section.term,
        section.starts_at,
        section.ends_at,
        section.seat_limit,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn delete(db: &mut PgConnection, id: SectionId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM enrollment.sections WHERE id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}
