use std::collections::HashMap;

use sqlx::{PgConnection, PgExecutor};
use typed_id::{ExamId, UserId};
use uuid::Uuid;

use crate::domain::deadline::Accommodation;

/// What a student has: of their own and of their groups the most of each.
pub async fn of_user(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    user: UserId,
) -> Result<Accommodation, sqlx::Error> {
    sqlx::query_as!(
        Accommodation,
        r#"SELECT coalesce(max(extra_seconds), 0) AS "extra_seconds!", coalesce(max(extra_percent), 0) AS "extra_percent!"
           FROM (SELECT extra_seconds, extra_percent FROM exam.accommodations WHERE exam_id = $1 AND user_id = $2
                 UNION ALL
                 SELECT g.extra_seconds, g.extra_percent
                 FROM exam.accommodation_members m JOIN exam.accommodation_groups g USING (exam_id, name)
                 WHERE m.exam_id = $1 AND m.user_id = $2) AS given"#,
        exam.0,
        user.0,
    )
    .fetch_one(db)
    .await
}

/// As [`of_user`], of all who have any.
pub async fn of_exam(
    db: impl PgExecutor<'_>,
    exam: ExamId,
) -> Result<HashMap<UserId, Accommodation>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT user_id AS "user_id!", max(extra_seconds) AS "extra_seconds!", max(extra_percent) AS "extra_percent!"
           FROM (SELECT user_id, extra_seconds, extra_percent FROM exam.accommodations WHERE exam_id = $1
                 UNION ALL
                 SELECT m.user_id, g.extra_seconds, g.extra_percent
                 FROM exam.accommodation_members m JOIN exam.accommodation_groups g USING (exam_id, name)
                 WHERE m.exam_id = $1) AS given
           GROUP BY user_id"#,
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

/// What was given to students by themselves, after one of them.
pub async fn page_of_exam(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(UserId, Accommodation)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT user_id, extra_seconds, extra_percent FROM exam.accommodations
         WHERE exam_id = $1 AND ($2::uuid IS NULL OR user_id > $2) ORDER BY user_id LIMIT $3",
        exam.0,
        after,
        limit,
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
