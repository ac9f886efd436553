use std::collections::HashMap;

use sqlx::{PgConnection, PgExecutor};
use typed_id::{ExamId, UserId};

use crate::domain::deadline::Accommodation;

pub async fn of_user(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    user: UserId,
) -> Result<Accommodation, sqlx::Error> {
    let found = sqlx::query_as!(
        Accommodation,
        "SELECT extra_seconds, extra_percent FROM exam.accommodations WHERE exam_id = $1 AND user_id = $2",
        exam.0,
        user.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(found.unwrap_or_default())
}

/// By user.
pub async fn of_exam(
    db: impl PgExecutor<'_>,
    exam: ExamId,
) -> Result<HashMap<UserId, Accommodation>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT user_id, extra_seconds, extra_percent FROM exam.accommodations WHERE exam_id = $1",
        exam.0,
    )
    .fetch_all(db)
    .await?;
    let all = rows.into_iter().map(|row| {
        (
            UserId(row.user_id),
            Accommodation {
                extra_seconds: row.extra_seconds,
                extra_percent: row.extra_percent,
            },
        )
    });
    Ok(all.collect())
}

pub async fn store(
    db: &mut PgConnection,
    exam: ExamId,
    user: UserId,
    accommodation: Accommodation,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO exam.accommodations (exam_id, user_id, extra_seconds, extra_percent) VALUES ($1, $2, $3, $4)
         ON CONFLICT (exam_id, user_id) DO UPDATE SET extra_seconds = excluded.extra_seconds, extra_percent = excluded.extra_percent",
        exam.0,
        user.0,
        accommodation.extra_seconds,
        accommodation.extra_percent,
    )
    .execute(db)
    .await?;
    Ok(())
}
