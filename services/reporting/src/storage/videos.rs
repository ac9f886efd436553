use sqlx::PgExecutor;
use typed_id::{CourseId, VideoId};

/// Keeps that a video is in a course, or no longer, unless a newer version is known.
pub async fn keep(
    db: impl PgExecutor<'_>,
    id: VideoId,
    version: i32,
    course: CourseId,
    is_deleted: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO reporting.videos AS v (id, version, course_id, is_deleted) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, course_id = excluded.course_id, is_deleted = excluded.is_deleted
         WHERE v.version < excluded.version",
        id.0,
        version,
        course.0,
        is_deleted,
    )
    .execute(db)
    .await?;
    Ok(())
}
