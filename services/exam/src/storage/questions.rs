use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, ExamId, QuestionId, UserId};
use uuid::Uuid;

use crate::domain::question::{Content, Question};

/// A question where it is kept.
#[derive(Debug, Clone)]
pub struct Stored {
    pub id: Uuid,
    pub course_id: Uuid,
    /// `None`: in the course's bank.
    pub exam_id: Option<Uuid>,
    pub order_index: i32,
    pub version: i32,
    pub content: Json<Content>,
    pub updated_at: OffsetDateTime,
}

impl Stored {
    pub fn question(self) -> Question {
        Question {
            id: QuestionId(self.id),
            version: self.version,
            content: self.content.0,
        }
    }
}

pub async fn by_id(db: impl PgExecutor<'_>, id: QuestionId) -> Result<Option<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, course_id, exam_id, order_index, version, content AS "content: Json<Content>", updated_at
           FROM exam.questions WHERE id = $1 AND NOT is_deleted"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// As [`by_id`], and nobody else may change it until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: QuestionId) -> Result<Option<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, course_id, exam_id, order_index, version, content AS "content: Json<Content>", updated_at
           FROM exam.questions WHERE id = $1 AND NOT is_deleted FOR UPDATE"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// All questions of an exam, in order.
pub async fn of_exam(db: impl PgExecutor<'_>, exam: ExamId) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, course_id, exam_id, order_index, version, content AS "content: Json<Content>", updated_at
           FROM exam.questions WHERE exam_id = $1 AND NOT is_deleted ORDER BY order_index, id"#,
        exam.0,
    )
    .fetch_all(db)
    .await
}

/// Questions of an exam, after a place.
pub async fn page_of_exam(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    after: Option<(i32, Uuid)>,
    limit: i64,
) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, course_id, exam_id, order_index, version, content AS "content: Json<Content>", updated_at
           FROM exam.questions
           WHERE exam_id = $1 AND NOT is_deleted AND ($2::int IS NULL OR (order_index, id) > ($2, $3::uuid))
           ORDER BY order_index, id LIMIT $4"#,
        exam.0,
        after.map(|(place, _)| place),
        after.map(|(_, id)| id),
        limit,
    )
    .fetch_all(db)
    .await
}

/// Questions of a course's bank, after an id.
pub async fn page_of_bank(
    db: impl PgExecutor<'_>,
    course: CourseId,
    tag: Option<&str>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, course_id, exam_id, order_index, version, content AS "content: Json<Content>", updated_at
           FROM exam.questions
           WHERE course_id = $1 AND exam_id IS NULL AND NOT is_deleted AND ($2::text IS NULL OR tags @> ARRAY[$2::text])
             AND ($3::uuid IS NULL OR id > $3)
           ORDER BY id LIMIT $4"#,
        course.0,
        tag,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Questions of a course's bank that carry one of these tags.
pub async fn of_tags(
    db: impl PgExecutor<'_>,
    course: CourseId,
    tags: &[String],
) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, course_id, exam_id, order_index, version, content AS "content: Json<Content>", updated_at
           FROM exam.questions
           WHERE course_id = $1 AND exam_id IS NULL AND NOT is_deleted AND tags && $2::text[]
           ORDER BY id"#,
        course.0,
        tags,
    )
    .fetch_all(db)
    .await
}

/// The present versions of these, deleted ones too.
pub async fn present(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Question>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT id, version, content AS "content: Json<Content>" FROM exam.questions WHERE id = ANY ($1)"#,
        ids,
    )
    .fetch_all(db)
    .await?;
    let questions = rows.into_iter().map(|row| Question {
        id: QuestionId(row.id),
        version: row.version,
        content: row.content.0,
    });
    Ok(questions.collect())
}

/// Questions as they were in these versions, deleted ones too.
pub async fn at_versions(
    db: impl PgExecutor<'_>,
    versions: &[(QuestionId, i32)],
) -> Result<Vec<Question>, sqlx::Error> {
    let (ids, versions): (Vec<Uuid>, Vec<i32>) =
        versions.iter().map(|(id, version)| (id.0, *version)).unzip();
    let rows = sqlx::query!(
        r#"SELECT v.question_id, v.version, v.content AS "content: Json<Content>"
           FROM unnest($1::uuid[], $2::int[]) AS asked (question_id, version)
           JOIN exam.question_versions v ON v.question_id = asked.question_id AND v.version = asked.version"#,
        &ids,
        &versions,
    )
    .fetch_all(db)
    .await?;
    let questions = rows.into_iter().map(|row| Question {
        id: QuestionId(row.question_id),
        version: row.version,
        content: row.content.0,
    });
    Ok(questions.collect())
}

/// A question as one edit left it.
#[derive(Debug, Clone)]
pub struct Version {
    pub question_id: Uuid,
    pub version: i32,
    pub content: Json<Content>,
    pub created_by: Uuid,
    pub created_at: OffsetDateTime,
}

/// Versions of a question before `before`, newest first.
pub async fn versions(
    db: impl PgExecutor<'_>,
    id: QuestionId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<Version>, sqlx::Error> {
    sqlx::query_as!(
        Version,
        r#"SELECT question_id, version, content AS "content: Json<Content>", created_by, created_at
           FROM exam.question_versions
           WHERE question_id = $1 AND ($2::int IS NULL OR version < $2)
           ORDER BY version DESC LIMIT $3"#,
        id.0,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// A question to be made.
#[derive(Debug, Clone)]
pub struct New {
    pub id: QuestionId,
    pub course_id: CourseId,
    pub exam_id: Option<ExamId>,
    /// Last when `None`.
    pub order_index: Option<i32>,
    pub content: Content,
}

/// Inserts one question, with its first version.
pub async fn insert(
    db: &mut PgConnection,
    new: &New,
    author: UserId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH made AS (
             INSERT INTO exam.questions (id, course_id, exam_id, order_index, version, content, tags, updated_at)
             VALUES ($1, $2, $3, coalesce($4, (SELECT coalesce(max(order_index) + 1, 0) FROM exam.questions WHERE exam_id = $3), 0),
                     1, $5, $6, $8)
         )
         INSERT INTO exam.question_versions (question_id, version, content, created_by, created_at) VALUES ($1, 1, $5, $7, $8)",
        new.id.0,
        new.course_id.0,
        new.exam_id.map(|id| id.0),
        new.order_index,
        Json(&new.content) as _,
        &new.content.tags,
        author.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Inserts many questions into a course's bank at once.
pub async fn insert_into_bank(
    db: &mut PgConnection,
    course: CourseId,
    questions: &[(QuestionId, Content)],
    author: UserId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = questions.iter().map(|(id, _)| id.0).collect();
    let contents: Result<Vec<serde_json::Value>, _> = questions
        .iter()
        .map(|(_, content)| serde_json::to_value(content))
        .collect();
    let contents = contents.map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?;
    sqlx::query!(
        "WITH told AS (
             SELECT * FROM unnest($1::uuid[], $2::jsonb[]) AS t (id, content)
         ), made AS (
             INSERT INTO exam.questions (id, course_id, order_index, version, content, tags, updated_at)
             SELECT id, $3, 0, 1, content,
                    ARRAY(SELECT jsonb_array_elements_text(content -> 'tags')), $5 FROM told
         )
         INSERT INTO exam.question_versions (question_id, version, content, created_by, created_at)
         SELECT id, 1, content, $4, $5 FROM told",
        &ids,
        &contents,
        course.0,
        author.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores the next version of a locked question.
pub async fn update(
    db: &mut PgConnection,
    id: QuestionId,
    content: &Content,
    order_index: i32,
    author: UserId,
    now: OffsetDateTime,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH changed AS (
               UPDATE exam.questions SET content = $2, tags = $3, order_index = $4, updated_at = $6, version = version + 1
               WHERE id = $1 RETURNING version
           )
           INSERT INTO exam.question_versions (question_id, version, content, created_by, created_at)
           SELECT $1, version, $2, $5, $6 FROM changed
           RETURNING version"#,
        id.0,
        Json(content) as _,
        &content.tags,
        order_index,
        author.0,
        now,
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, id: QuestionId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE exam.questions SET is_deleted = true, updated_at = $2 WHERE id = $1",
        id.0,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
