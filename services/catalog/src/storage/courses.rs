use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct Course {
    pub id: Uuid,
    pub title: String,
    pub description: String,
    pub teacher_id: Uuid,
    /// `None` while the projection has not heard of the teacher.
    pub teacher_name: Option<String>,
    pub category_id: Option<Uuid>,
    pub code: String,
    pub academic_year: String,
    pub is_published: bool,
    pub is_active: bool,
    pub seat_limit: Option<i32>,
    pub prerequisite_ids: Vec<Uuid>,
    pub video_count: i32,
    pub duration_seconds: i32,
    pub version: i32,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub published_at: Option<OffsetDateTime>,
}

impl Course {
    /// Whether everybody may see it.
    pub fn is_open(&self) -> bool {
        self.is_published && self.is_active
    }

    pub fn id(&self) -> CourseId {
        CourseId(self.id)
    }
}

pub async fn by_id(db: impl PgExecutor<'_>, id: CourseId) -> Result<Option<Course>, sqlx::Error> {
    sqlx::query_as!(
        Course,
        r#"SELECT c.id AS "id!", c.title AS "title!", c.description AS "description!", c.teacher_id AS "teacher_id!",
                  t.full_name AS "teacher_name?", c.category_id AS "category_id?", c.code AS "code!",
                  c.academic_year AS "academic_year!", c.is_published AS "is_published!", c.is_active AS "is_active!",
                  c.seat_limit AS "seat_limit?", c.prerequisite_ids AS "prerequisite_ids!", c.video_count AS "video_count!",
                  c.duration_seconds AS "duration_seconds!", c.version AS "version!", c.created_at AS "created_at!",
                  c.updated_at AS "updated_at!", c.published_at AS "published_at?"
           FROM catalog.courses c LEFT JOIN catalog.teachers t ON t.id = c.teacher_id WHERE c.id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// As [`by_id`], and nobody else may change it until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: CourseId) -> Result<Option<Course>, sqlx::Error> {
    sqlx::query!("SELECT id FROM catalog.courses WHERE id = $1 FOR UPDATE", id.0)
        .fetch_optional(&mut *db)
        .await?;
    by_id(db, id).await
}

/// Locks the courses of these videos, in one order.
pub async fn lock_of_videos(db: &mut PgConnection, videos: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT c.id FROM catalog.courses c
         WHERE c.id IN (SELECT v.course_id FROM catalog.videos v WHERE v.id = ANY ($1))
         ORDER BY c.id FOR UPDATE",
        videos,
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

#[derive(Debug, Clone)]
pub struct NewCourse {
    pub id: CourseId,
    pub title: String,
    pub description: String,
    pub teacher_id: UserId,
    pub category_id: Option<Uuid>,
    pub code: String,
    pub academic_year: String,
    pub seat_limit: Option<i32>,
    pub prerequisite_ids: Vec<Uuid>,
    pub now: OffsetDateTime,
}

/// False when there is a course with this id. Breaks `courses_category_fkey` for an unknown category.
pub async fn insert(db: &mut PgConnection, new: &NewCourse) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO catalog.courses
             (id, title, description, teacher_id, category_id, code, academic_year, seat_limit, prerequisite_ids, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT (id) DO NOTHING",
        new.id.0,
        new.title,
        new.description,
        new.teacher_id.0,
        new.category_id,
        new.code,
        new.academic_year,
        new.seat_limit,
        &new.prerequisite_ids,
        new.now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes all that may change of a course, and counts the version up.
pub async fn update(db: &mut PgConnection, course: &Course, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE catalog.courses SET
             title = $2, description = $3, teacher_id = $4, category_id = $5, code = $6, academic_year = $7,
             is_published = $8, is_active = $9, seat_limit = $10, prerequisite_ids = $11, published_at = $12,
             updated_at = $13, version = version + 1
         WHERE id = $1",
        course.id,
        course.title,
        course.description,
        course.teacher_id,
        course.category_id,
        course.code,
        course.academic_year,
        course.is_published,
        course.is_active,
        course.seat_limit,
        &course.prerequisite_ids,
        course.published_at,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Changes of prerequisites take turns until they are committed: two that are sound each by itself may make a circle together.
pub async fn lock_prerequisites(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('course-prerequisites', 0))")
        .execute(db)
        .await?;
    Ok(())
}

/// Whether all of `ids` are courses, and none of them leads to `course` again.
pub async fn prerequisites_are_sound(
    db: &mut PgConnection,
    course: CourseId,
    ids: &[Uuid],
) -> Result<bool, sqlx::Error> {
    let sound = sqlx::query_scalar!(
        r#"WITH RECURSIVE needed (id) AS (
               SELECT unnest($2::uuid[])
               UNION
               SELECT unnest(c.prerequisite_ids) FROM catalog.courses c JOIN needed n ON n.id = c.id
           )
           SELECT ((SELECT count(*) FROM catalog.courses WHERE id = ANY($2)) = cardinality($2)
                   AND NOT EXISTS (SELECT FROM needed WHERE id = $1)) AS "sound!""#,
        course.0,
        ids,
    )
    .fetch_one(db)
    .await?;
    Ok(sound)
}

/// Counts the course's videos anew.
pub async fn recount_videos(
    db: &mut PgConnection,
    id: CourseId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE catalog.courses c SET updated_at = $2, video_count = v.count, duration_seconds = v.seconds
         FROM (SELECT count(*)::int AS count, coalesce(sum(duration_seconds), 0)::int AS seconds
               FROM catalog.videos WHERE course_id = $1) v
         WHERE c.id = $1",
        id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
