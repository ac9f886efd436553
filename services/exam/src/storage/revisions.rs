use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{ExamId, UserId};

use crate::domain::revision::Revision;

pub async fn get(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    revision: i32,
) -> Result<Option<Revision>, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT content AS "content: Json<Revision>" FROM exam.revisions WHERE exam_id = $1 AND revision = $2"#,
        exam.0,
        revision,
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|Json(revision)| revision))
}

pub async fn insert(
    db: &mut PgConnection,
    exam: ExamId,
    number: i32,
    revision: &Revision,
    author: UserId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO exam.revisions (exam_id, revision, content, created_by, created_at) VALUES ($1, $2, $3, $4, $5)",
        exam.0,
        number,
        Json(revision) as _,
        author.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
