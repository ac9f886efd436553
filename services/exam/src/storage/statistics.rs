use sqlx::PgExecutor;
use uuid::Uuid;

/// One question over those attempts that had it.
#[derive(Debug, Clone)]
pub struct Item {
    pub question_id: Uuid,
    pub attempts: i64,
    /// Mean share of the points.
    pub facility: Option<f64>,
    /// Correlation of its points with those of the rest of the attempt.
    pub discrimination: Option<f64>,
}

pub async fn items(db: impl PgExecutor<'_>, attempts: &[Uuid]) -> Result<Vec<Item>, sqlx::Error> {
    sqlx::query_as!(
        Item,
        r#"SELECT g.question_id AS "question_id!", count(*) AS "attempts!",
                  avg(g.score / nullif(g.max_score, 0)::float8) AS facility,
                  corr(g.score, a.score - g.score) AS discrimination
           FROM exam.attempts a JOIN exam.grades g ON g.attempt_id = a.id
           WHERE a.id = ANY ($1) AND g.score IS NOT NULL
           GROUP BY g.question_id"#,
        attempts,
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

pub async fn chosen(db: impl PgExecutor<'_>, attempts: &[Uuid]) -> Result<Vec<Chosen>, sqlx::Error> {
    sqlx::query_as!(
        Chosen,
        r#"SELECT n.question_id AS "question_id!", o.id::uuid AS "option_id!", count(*) AS "count!"
           FROM exam.answers n
           CROSS JOIN LATERAL jsonb_array_elements_text(n.answer -> 'option_ids') AS o (id)
           WHERE n.attempt_id = ANY ($1) AND n.answer ? 'option_ids'
           GROUP BY n.question_id, o.id"#,
        attempts,
    )
    .fetch_all(db)
    .await
}
