use sqlx::{PgConnection, PgExecutor};
use typed_id::{AttemptId, QuestionId};
use uuid::Uuid;

use crate::domain::score::Score;

/// The points of one question of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grade {
    pub attempt_id: AttemptId,
    pub question_id: QuestionId,
    /// Of the key.
    pub question_version: i32,
    /// `None`: waits for a person.
    pub score: Option<Score>,
    pub max_score: Score,
    pub is_manual: bool,
    pub comment: String,
}

/// Writes many grades, in place of those that there were.
pub async fn store(db: &mut PgConnection, grades: &[Grade]) -> Result<(), sqlx::Error> {
    let attempts: Vec<Uuid> = grades.iter().map(|g| g.attempt_id.0).collect();
    let questions: Vec<Uuid> = grades.iter().map(|g| g.question_id.0).collect();
    let versions: Vec<i32> = grades.iter().map(|g| g.question_version).collect();
    let scores: Vec<Option<i64>> = grades.iter().map(|g| g.score.map(|score| score.0)).collect();
    let maxima: Vec<i64> = grades.iter().map(|g| g.max_score.0).collect();
    let manual: Vec<bool> = grades.iter().map(|g| g.is_manual).collect();
    let comments: Vec<String> = grades.iter().map(|g| g.comment.clone()).collect();
    sqlx::query!(
        "INSERT INTO exam.grades (attempt_id, question_id, question_version, score, max_score, is_manual, comment)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::bool[], $7::text[])
         ON CONFLICT (attempt_id, question_id) DO UPDATE SET
             question_version = excluded.question_version, score = excluded.score, max_score = excluded.max_score,
             is_manual = excluded.is_manual, comment = excluded.comment",
        &attempts,
        &questions,
        &versions,
        &scores as &[Option<i64>],
        &maxima,
        &manual,
        &comments,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the grades of attempts that are open again.
pub async fn delete(db: &mut PgConnection, attempts: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM exam.grades WHERE attempt_id = ANY ($1)", attempts)
        .execute(db)
        .await?;
    Ok(())
}

/// All grades of these attempts.
pub async fn of_attempts(db: impl PgExecutor<'_>, attempts: &[Uuid]) -> Result<Vec<Grade>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT attempt_id, question_id, question_version, score, max_score, is_manual, comment
         FROM exam.grades WHERE attempt_id = ANY ($1)",
        attempts,
    )
    .fetch_all(db)
    .await?;
    let grades = rows.into_iter().map(|row| Grade {
        attempt_id: AttemptId(row.attempt_id),
        question_id: QuestionId(row.question_id),
        question_version: row.question_version,
        score: row.score.map(Score),
        max_score: Score(row.max_score),
        is_manual: row.is_manual,
        comment: row.comment,
    });
    Ok(grades.collect())
}
