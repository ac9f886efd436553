use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{AttemptId, ExamId, UserId};
use uuid::Uuid;

/// Something that changed a score or a deadline.
#[derive(Debug, Clone)]
pub struct Entry {
    pub exam_id: ExamId,
    pub attempt_id: Option<AttemptId>,
    pub actor_id: UserId,
    pub action: &'static str,
    pub detail: Value,
}

/// Adds entries, at once.
pub async fn append(
    db: &mut PgConnection,
    entries: &[Entry],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = entries.iter().map(|_| typed_id::new_uuid(now)).collect();
    let exams: Vec<Uuid> = entries.iter().map(|e| e.exam_id.0).collect();
    let attempts: Vec<Option<Uuid>> = entries.iter().map(|e| e.attempt_id.map(|id| id.0)).collect();
    let actors: Vec<Uuid> = entries.iter().map(|e| e.actor_id.0).collect();
    let actions: Vec<String> = entries.iter().map(|e| e.action.to_owned()).collect();
    let details: Vec<Value> = entries.iter().map(|e| e.detail.clone()).collect();
    sqlx::query!(
        "INSERT INTO exam.audit (id, exam_id, attempt_id, actor_id, action, detail, at)
         SELECT t.id, t.exam_id, t.attempt_id, t.actor_id, t.action, t.detail, $7
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::jsonb[])
              AS t (id, exam_id, attempt_id, actor_id, action, detail)",
        &ids,
        &exams,
        &attempts as &[Option<Uuid>],
        &actors,
        &actions,
        &details,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// An entry as it is read.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub id: Uuid,
    pub attempt_id: Option<Uuid>,
    pub actor_id: Uuid,
    /// `None` while it is not known.
    pub actor_name: Option<String>,
    pub action: String,
    pub detail: Value,
    pub at: OffsetDateTime,
}

/// Entries of an exam before `before`, newest first.
pub async fn page(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query_as!(
        Recorded,
        r#"SELECT a.id, a.attempt_id, a.actor_id, u.full_name AS "actor_name?", a.action, a.detail, a.at
           FROM exam.audit a LEFT JOIN exam.users u ON u.id = a.actor_id
           WHERE a.exam_id = $1 AND ($2::uuid IS NULL OR a.id < $2)
           ORDER BY a.id DESC LIMIT $3"#,
        exam.0,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}
