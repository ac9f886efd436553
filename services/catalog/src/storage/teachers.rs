use sqlx::PgExecutor;
use typed_id::{CourseId, UserId};

pub async fn name(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT full_name FROM catalog.teachers WHERE id = $1", id.0)
        .fetch_optional(db)
        .await
}

/// Writes the projection unless it knows a newer version. Gives the courses that show the name, also when it was there already: an erasure
/// may have written it, and tells nobody.
pub async fn upsert(
    db: impl PgExecutor<'_>,
    id: UserId,
    version: i32,
    name: &str,
) -> Result<Vec<CourseId>, sqlx::Error> {
    let courses = sqlx::query_scalar!(
        r#"WITH kept AS (
               INSERT INTO catalog.teachers AS t (id, version, full_name) VALUES ($1, $2, $3)
               ON CONFLICT (id) DO UPDATE SET version = excluded.version, full_name = excluded.full_name
               WHERE t.version < excluded.version
           )
           SELECT c.id AS "id!" FROM catalog.courses c WHERE c.teacher_id = $1"#,
        id.0,
        version,
        name,
    )
    .fetch_all(db)
    .await?;
    Ok(courses.into_iter().map(CourseId).collect())
}
