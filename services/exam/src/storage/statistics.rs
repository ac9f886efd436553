use sqlx::PgExecutor;
use typed_id::ExamId;
use uuid::Uuid;

/// An exam's graded attempts, as a whole.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    pub attempts: i64,
    pub mean_percent: Option<f64>,
    pub median_percent: Option<f64>,
    pub pass_rate: Option<f64>,
}

pub async fn overview(db: impl PgExecutor<'_>, exam: ExamId) -> Result<Overview, sqlx::Error> {
    sqlx::query_as!(
        Overview,
        r#"SELECT count(*) AS "attempts!", avg(percent)::float8 AS mean_percent,
                  percentile_cont(0.5) WITHIN GROUP (ORDER BY percent) AS median_percent,
                  avg(passed::int)::float8 AS pass_rate
           FROM (SELECT 100.0 * score / nullif(max_score, 0)::float8 AS percent, passed
                 FROM exam.attempts WHERE exam_id = $1 AND state IN ('graded', 'expired')) AS graded"#,
        exam.0,
    )
    .fetch_one(db)
    .await
}

/// One question over all graded attempts that had it.
#[derive(Debug, Clone)]
pub struct Item {
    pub question_id: Uuid,
    pub attempts: i64,
    /// Mean share of the points.
    pub facility: Option<f64>,
    /// Correlation of its points with those of the rest of the attempt.
    pub discrimination: Option<f64>,
}

pub async fn items(db: impl PgExecutor<'_>, exam: ExamId) -> Result<Vec<Item>, sqlx::Error> {
    sqlx::query_as!(
        Item,
        r#"SELECT g.question_id AS "question_id!", count(*) AS "attempts!",
                  avg(g.score / nullif(g.max_score, 0)::float8) AS facility,
                  corr(g.score, a.score - g.score) AS discrimination
           FROM exam.attempts a JOIN exam.grades g ON g.attempt_id = a.id
           WHERE a.exam_id = $1 AND a.state IN ('graded', 'expired') AND g.score IS NOT NULL
           GROUP BY g.question_id"#,
        exam.0,
    )
    .fetch_all(db)
    .await
}

/// How often an option was chosen.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub question_id: Uuid,
    pub option_id: Uuid,
    pub count: i64,
}

pub async fn chosen(db: impl PgExecutor<'_>, exam: ExamId) -> Result<Vec<Chosen>, sqlx::Error> {
    sqlx::query_as!(
        Chosen,
        r#"SELECT n.question_id AS "question_id!", o.id::uuid AS "option_id!", count(*) AS "count!"
           FROM exam.attempts a
           JOIN exam.answers n ON n.attempt_id = a.id
           CROSS JOIN LATERAL jsonb_array_elements_text(n.answer -> 'option_ids') AS o (id)
           WHERE a.exam_id = $1 AND a.state IN ('graded', 'expired') AND n.answer ? 'option_ids'
           GROUP BY n.question_id, o.id"#,
        exam.0,
    )
    .fetch_all(db)
    .await
}
