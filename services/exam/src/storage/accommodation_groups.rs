use sqlx::{PgConnection, PgExecutor};
use typed_id::{ExamId, UserId};
use uuid::Uuid;

use crate::domain::deadline::Accommodation;

/// Students who have more time together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub accommodation: Accommodation,
    pub user_ids: Vec<UserId>,
}

/// The groups of an exam, by name, after one of them.
pub async fn page_of_exam(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Group>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT g.name, g.extra_seconds, g.extra_percent,
                  coalesce(array_agg(m.user_id ORDER BY m.user_id) FILTER (WHERE m.user_id IS NOT NULL), '{}') AS "user_ids!"
           FROM exam.accommodation_groups g LEFT JOIN exam.accommodation_members m USING (exam_id, name)
           WHERE g.exam_id = $1 AND ($2::text IS NULL OR g.name > $2)
           GROUP BY g.exam_id, g.name ORDER BY g.name LIMIT $3"#,
        exam.0,
        after,
        limit,
    )
    .fetch_all(db)
    .await?;
    let groups = rows.into_iter().map(|row| Group {
        name: row.name,
        accommodation: Accommodation {
            extra_seconds: row.extra_seconds,
            extra_percent: row.extra_percent,
        },
        user_ids: row.user_ids.into_iter().map(UserId).collect(),
    });
    Ok(groups.collect())
}

/// Writes a group in place of the one of its name.
pub async fn store(db: &mut PgConnection, exam: ExamId, group: &Group) -> Result<(), sqlx::Error> {
    let users: Vec<Uuid> = group.user_ids.iter().map(|user| user.0).collect();
    sqlx::query!(
        "INSERT INTO exam.accommodation_groups (exam_id, name, extra_seconds, extra_percent) VALUES ($1, $2, $3, $4)
         ON CONFLICT (exam_id, name) DO UPDATE SET extra_seconds = excluded.extra_seconds, extra_percent = excluded.extra_percent",
        exam.0,
        group.name,
        group.accommodation.extra_seconds,
        group.accommodation.extra_percent,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "DELETE FROM exam.accommodation_members WHERE exam_id = $1 AND name = $2 AND user_id <> ALL ($3)",
        exam.0,
        group.name,
        &users,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "INSERT INTO exam.accommodation_members (exam_id, name, user_id) SELECT $1, $2, * FROM unnest($3::uuid[])
         ON CONFLICT DO NOTHING",
        exam.0,
        group.name,
        &users,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// `false` when there is no such group.
pub async fn delete(db: &mut PgConnection, exam: ExamId, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM exam.accommodation_groups WHERE exam_id = $1 AND name = $2",
        exam.0,
        name,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
