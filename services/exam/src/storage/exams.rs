use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, ExamId};
use uuid::Uuid;

use crate::domain::deadline::Timing;
use crate::domain::policy::AttemptPolicy;
use crate::domain::revision::{Draw, Rules};

#[expect(clippy::struct_excessive_bools, reason = "columns of a table")]
#[derive(Debug, Clone)]
pub struct Exam {
    pub id: Uuid,
    pub course_id: Uuid,
    pub title: String,
    pub description: String,
    /// `draft`, `published`, `archived`.
    pub state: String,
    pub time_limit_seconds: Option<i32>,
    pub opens_at: Option<OffsetDateTime>,
    pub closes_at: Option<OffsetDateTime>,
    pub hard_end: bool,
    pub max_attempts: i32,
    pub attempt_scoring: String,
    pub cooldown_seconds: i32,
    pub shuffle_questions: bool,
    pub shuffle_options: bool,
    pub negative_marking: bool,
    pub wrongs_per_right: i32,
    pub pass_percent: i32,
    pub review_policy: String,
    pub draw: Json<Vec<Draw>>,
    pub version: i32,
    pub revision: i32,
    pub question_count: i32,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// When students were told of their results, where they see them after the end.
    pub released_at: Option<OffsetDateTime>,
}

impl Exam {
    pub fn id(&self) -> ExamId {
        ExamId(self.id)
    }

    pub fn course_id(&self) -> CourseId {
        CourseId(self.course_id)
    }

    pub fn is_published(&self) -> bool {
        self.state == "published"
    }

    /// Whether a student whose attempt is graded now may be told so.
    pub fn tells_results(&self) -> bool {
        match self.review_policy.as_str() {
            "after_submit" => true,
            "after_close" => self.released_at.is_some(),
            _ => false,
        }
    }

    pub fn timing(&self) -> Timing {
        Timing {
            time_limit_seconds: self.time_limit_seconds,
            closes_at: self.closes_at,
            hard_end: self.hard_end,
        }
    }

    pub fn attempt_policy(&self) -> AttemptPolicy {
        AttemptPolicy {
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            max_attempts: self.max_attempts,
            cooldown_seconds: self.cooldown_seconds,
        }
    }

    pub fn rules(&self) -> Rules {
        Rules {
            shuffle_questions: self.shuffle_questions,
            shuffle_options: self.shuffle_options,
            negative_marking: self.negative_marking,
            wrongs_per_right: self.wrongs_per_right,
            pass_percent: self.pass_percent,
        }
    }
}

pub async fn by_id(db: impl PgExecutor<'_>, id: ExamId) -> Result<Option<Exam>, sqlx::Error> {
    sqlx::query_as!(
        Exam,
        r#"SELECT id, course_id, title, description, state, time_limit_seconds, opens_at, closes_at, hard_end, max_attempts,
                  attempt_scoring, cooldown_seconds, shuffle_questions, shuffle_options, negative_marking, wrongs_per_right,
                  pass_percent, review_policy, draw AS "draw: Json<Vec<Draw>>", version, revision, question_count, created_at, updated_at, released_at
           FROM exam.exams WHERE id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// As [`by_id`], and nobody else may change it until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: ExamId) -> Result<Option<Exam>, sqlx::Error> {
    sqlx::query_as!(
        Exam,
        r#"SELECT id, course_id, title, description, state, time_limit_seconds, opens_at, closes_at, hard_end, max_attempts,
                  attempt_scoring, cooldown_seconds, shuffle_questions, shuffle_options, negative_marking, wrongs_per_right,
                  pass_percent, review_policy, draw AS "draw: Json<Vec<Draw>>", version, revision, question_count, created_at, updated_at, released_at
           FROM exam.exams WHERE id = $1 FOR UPDATE"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// As [`by_id`], and whoever changes it waits: an attempt that begins is seen by every change of its deadline, or sees it. It is the
/// lock that the attempt's reference to its exam takes anyway.
pub async fn share(db: &mut PgConnection, id: ExamId) -> Result<Option<Exam>, sqlx::Error> {
    sqlx::query_as!(
        Exam,
        r#"SELECT id, course_id, title, description, state, time_limit_seconds, opens_at, closes_at, hard_end, max_attempts,
                  attempt_scoring, cooldown_seconds, shuffle_questions, shuffle_options, negative_marking, wrongs_per_right,
                  pass_percent, review_policy, draw AS "draw: Json<Vec<Draw>>", version, revision, question_count, created_at, updated_at, released_at
           FROM exam.exams WHERE id = $1 FOR KEY SHARE"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// Exams of a course, newest first, before `before`.
pub async fn page_of_course(
    db: impl PgExecutor<'_>,
    course: CourseId,
    with_drafts: bool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Exam>, sqlx::Error> {
    sqlx::query_as!(
        Exam,
        r#"SELECT id, course_id, title, description, state, time_limit_seconds, opens_at, closes_at, hard_end, max_attempts,
                  attempt_scoring, cooldown_seconds, shuffle_questions, shuffle_options, negative_marking, wrongs_per_right,
                  pass_percent, review_policy, draw AS "draw: Json<Vec<Draw>>", version, revision, question_count, created_at, updated_at, released_at
           FROM exam.exams
           WHERE course_id = $1 AND state <> 'archived' AND ($2 OR state = 'published') AND ($3::uuid IS NULL OR id < $3)
           ORDER BY id DESC LIMIT $4"#,
        course.0,
        with_drafts,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

pub async fn insert(db: &mut PgConnection, exam: &Exam) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO exam.exams
             (id, course_id, title, description, state, time_limit_seconds, opens_at, closes_at, hard_end, max_attempts,
              attempt_scoring, cooldown_seconds, shuffle_questions, shuffle_options, negative_marking, wrongs_per_right,
              pass_percent, review_policy, draw, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20)",
        exam.id,
        exam.course_id,
        exam.title,
        exam.description,
        exam.state,
        exam.time_limit_seconds,
        exam.opens_at,
        exam.closes_at,
        exam.hard_end,
        exam.max_attempts,
        exam.attempt_scoring,
        exam.cooldown_seconds,
        exam.shuffle_questions,
        exam.shuffle_options,
        exam.negative_marking,
        exam.wrongs_per_right,
        exam.pass_percent,
        exam.review_policy,
        Json(&exam.draw.0) as _,
        exam.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes all that may change of an exam, and counts the version up.
pub async fn update(db: &mut PgConnection, exam: &Exam, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE exam.exams SET title = $2, description = $3, state = $4, time_limit_seconds = $5, opens_at = $6, closes_at = $7,
             hard_end = $8, max_attempts = $9, attempt_scoring = $10, cooldown_seconds = $11, shuffle_questions = $12,
             shuffle_options = $13, negative_marking = $14, wrongs_per_right = $15, pass_percent = $16, review_policy = $17,
             draw = $18, revision = $19, question_count = $20, updated_at = $21, released_at = $22, version = version + 1
         WHERE id = $1",
        exam.id,
        exam.title,
        exam.description,
        exam.state,
        exam.time_limit_seconds,
        exam.opens_at,
        exam.closes_at,
        exam.hard_end,
        exam.max_attempts,
        exam.attempt_scoring,
        exam.cooldown_seconds,
        exam.shuffle_questions,
        exam.shuffle_options,
        exam.negative_marking,
        exam.wrongs_per_right,
        exam.pass_percent,
        exam.review_policy,
        Json(&exam.draw.0) as _,
        exam.revision,
        exam.question_count,
        now,
        exam.released_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Exams that show results after their end, which has come: nobody sits them any more, and nobody was told yet.
pub async fn to_release(db: impl PgExecutor<'_>, limit: i64) -> Result<Vec<ExamId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM exam.exams e
         WHERE review_policy = 'after_close' AND state <> 'draft' AND released_at IS NULL AND closes_at <= clock_timestamp()
           AND NOT EXISTS (SELECT FROM exam.attempts a WHERE a.exam_id = e.id AND a.state = 'open')
         ORDER BY closes_at LIMIT $1",
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(ExamId).collect())
}
