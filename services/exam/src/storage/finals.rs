//! What final scores are made of.

use std::collections::HashMap;

use sqlx::PgExecutor;
use typed_id::{AttemptId, ExamId, UserId};
use uuid::Uuid;

use crate::domain::final_score::{Final, Graded, final_score};
use crate::domain::score::Score;

/// Whose, and at which exam.
pub type Sitting = (ExamId, UserId);

struct Row {
    exam_id: Uuid,
    user_id: Uuid,
    id: Uuid,
    score: i64,
    max_score: i64,
    passed: bool,
    attempt_scoring: String,
    pass_percent: i32,
}

/// The final scores of these students at these exams; without those of whom nothing is graded.
pub async fn of(
    db: impl PgExecutor<'_>,
    sittings: &[Sitting],
) -> Result<HashMap<Sitting, Final>, sqlx::Error> {
    let (exams, users): (Vec<Uuid>, Vec<Uuid>) = sittings.iter().map(|(exam, user)| (exam.0, user.0)).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT a.exam_id, a.user_id, a.id, a.score AS "score!", a.max_score, coalesce(a.passed, false) AS "passed!",
                  e.attempt_scoring, e.pass_percent
           FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS t (exam_id, user_id)) AS wanted
           JOIN exam.attempts a USING (exam_id, user_id) JOIN exam.exams e ON e.id = a.exam_id
           WHERE a.state IN ('graded', 'expired') AND a.score IS NOT NULL
           ORDER BY a.exam_id, a.user_id, a.number"#,
        &exams,
        &users,
    )
    .fetch_all(db)
    .await?;
    Ok(finals(&rows))
}

/// As [`of`], of all students of an exam.
pub async fn of_exam(db: impl PgExecutor<'_>, exam: ExamId) -> Result<HashMap<Sitting, Final>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT a.exam_id, a.user_id, a.id, a.score AS "score!", a.max_score, coalesce(a.passed, false) AS "passed!",
                  e.attempt_scoring, e.pass_percent
           FROM exam.attempts a JOIN exam.exams e ON e.id = a.exam_id
           WHERE a.exam_id = $1 AND a.state IN ('graded', 'expired') AND a.score IS NOT NULL
           ORDER BY a.exam_id, a.user_id, a.number"#,
        exam.0,
    )
    .fetch_all(db)
    .await?;
    Ok(finals(&rows))
}

/// Rows come sorted by exam, student and number.
fn finals(rows: &[Row]) -> HashMap<Sitting, Final> {
    let sittings = rows.chunk_by(|a, b| (a.exam_id, a.user_id) == (b.exam_id, b.user_id));
    let finals = sittings.filter_map(|rows| {
        let first = rows.first()?;
        let graded: Vec<Graded> = rows
            .iter()
            .map(|row| Graded {
                attempt_id: AttemptId(row.id),
                score: Score(row.score),
                max_score: Score(row.max_score),
                passed: row.passed,
            })
            .collect();
        let found = final_score(&first.attempt_scoring, first.pass_percent, &graded)?;
        Some(((ExamId(first.exam_id), UserId(first.user_id)), found))
    });
    finals.collect()
}
