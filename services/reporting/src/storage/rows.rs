//! The rows of reports, page by page.

use serde_json::Value;
use sqlx::{PgExecutor, query_as, query_scalar};
use time::OffsetDateTime;
use typed_id::CourseId;
use uuid::Uuid;

use super::activity::Place;
use crate::domain::report::ReportKind;

/// A student of a course, and what they did there.
#[derive(Debug, Clone)]
pub struct Student {
    pub user_id: Uuid,
    pub full_name: Option<String>,
    pub status: String,
    pub enrolled_at: Option<OffsetDateTime>,
    pub last_active_at: Option<OffsetDateTime>,
    /// Of the videos that the course has now.
    pub videos_completed: i32,
    pub course_completed_at: Option<OffsetDateTime>,
}

/// By id, after one.
pub async fn students(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Student>, sqlx::Error> {
    query_as!(
        Student,
        r#"SELECT e.user_id, u.full_name AS "full_name?", e.status, a.enrolled_at, a.last_active_at,
               a.videos_completed AS "videos_completed!", a.course_completed_at
           FROM reporting.enrollments e
           LEFT JOIN reporting.users u ON u.id = e.user_id
           CROSS JOIN LATERAL (
               SELECT max(at) FILTER (WHERE kind = 'enrollment.created') AS enrolled_at,
                   max(at) FILTER (WHERE kind IN ('enrollment.created', 'progress.video_completed', 'progress.course_completed',
                                                  'exam.attempt_submitted')) AS last_active_at,
                   count(DISTINCT subject_id) FILTER (WHERE kind = 'progress.video_completed' AND EXISTS (
                       SELECT FROM reporting.videos v WHERE v.id = subject_id AND v.course_id = $1 AND NOT v.is_deleted))::int
                       AS videos_completed,
                   min(at) FILTER (WHERE kind = 'progress.course_completed') AS course_completed_at
               FROM reporting.activity WHERE user_id = e.user_id AND course_id = e.course_id
           ) a
           WHERE e.course_id = $1 AND ($2::uuid IS NULL OR e.user_id > $2)
           ORDER BY e.user_id LIMIT $3"#,
        course.0,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

/// Videos that a course has now.
pub async fn video_count(db: impl PgExecutor<'_>, course: CourseId) -> Result<i64, sqlx::Error> {
    query_scalar!(
        r#"SELECT count(*) AS "count!" FROM reporting.videos WHERE course_id = $1 AND NOT is_deleted"#,
        course.0
    )
    .fetch_one(db)
    .await
}

/// An attempt that was handed in.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub at: OffsetDateTime,
    pub id: Uuid,
    pub user_id: Option<Uuid>,
    pub full_name: Option<String>,
    pub attempt_id: Uuid,
    pub exam_title: Option<String>,
    pub submitted_at: OffsetDateTime,
    pub submitted_by: Option<String>,
    pub score_percent: Option<f64>,
    pub passed: Option<bool>,
    pub graded_at: Option<OffsetDateTime>,
}

/// Each attempt of a course once, as it was handed in last, with its latest grade; oldest first.
pub async fn attempts(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Attempt>, sqlx::Error> {
    let (after_at, after_id) = after.unzip();
    query_as!(
        Attempt,
        r#"SELECT s.at, s.id, s.user_id, u.full_name AS "full_name?", s.subject_id AS attempt_id,
               s.details->>'exam_title' AS exam_title, s.details->>'submitted_by' AS submitted_by,
               coalesce((s.details->>'submitted_at')::timestamptz, s.at) AS "submitted_at!",
               g.score_percent AS "score_percent?", g.passed AS "passed?", g.at AS "graded_at?"
           FROM reporting.activity s
           LEFT JOIN reporting.users u ON u.id = s.user_id
           LEFT JOIN LATERAL (
               SELECT at, score_percent, passed FROM reporting.activity
               WHERE subject_id = s.subject_id AND kind = 'exam.attempt_graded'
               ORDER BY version DESC, at DESC, id DESC LIMIT 1
           ) g ON true
           WHERE s.course_id = $1 AND s.kind = 'exam.attempt_submitted'
             AND ($2::timestamptz IS NULL OR (s.at, s.id) > ($2, $3::uuid))
             AND NOT EXISTS (SELECT FROM reporting.activity l
                             WHERE l.subject_id = s.subject_id AND l.kind = 'exam.attempt_submitted'
                               AND (l.version, l.at, l.id) > (s.version, s.at, s.id))
           ORDER BY s.at, s.id LIMIT $4"#,
        course.0,
        after_at,
        after_id,
        limit
    )
    .fetch_all(db)
    .await
}

/// A line of the log, with a name.
#[derive(Debug, Clone)]
pub struct Line {
    pub at: OffsetDateTime,
    pub id: Uuid,
    pub kind: String,
    pub user_id: Option<Uuid>,
    pub full_name: Option<String>,
    pub subject_id: Uuid,
    pub details: Value,
}

/// The log of a course, oldest first.
pub async fn lines(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Line>, sqlx::Error> {
    let (after_at, after_id) = after.unzip();
    query_as!(
        Line,
        r#"SELECT a.at, a.id, a.kind, a.user_id, u.full_name AS "full_name?", a.subject_id, a.details
           FROM reporting.activity a LEFT JOIN reporting.users u ON u.id = a.user_id
           WHERE a.course_id = $1 AND ($2::timestamptz IS NULL OR (a.at, a.id) > ($2, $3::uuid))
           ORDER BY a.at, a.id LIMIT $4"#,
        course.0,
        after_at,
        after_id,
        limit
    )
    .fetch_all(db)
    .await
}

/// How many rows a report will have, more or less: it goes on meanwhile.
pub async fn count(db: impl PgExecutor<'_>, kind: ReportKind, course: CourseId) -> Result<i64, sqlx::Error> {
    match kind {
        ReportKind::Enrollments | ReportKind::Progress => {
            query_scalar!(
                r#"SELECT count(*) AS "count!" FROM reporting.enrollments WHERE course_id = $1"#,
                course.0
            )
            .fetch_one(db)
            .await
        }
        ReportKind::Results => {
            query_scalar!(
                r#"SELECT count(DISTINCT subject_id) AS "count!" FROM reporting.activity
                   WHERE course_id = $1 AND kind = 'exam.attempt_submitted'"#,
                course.0
            )
            .fetch_one(db)
            .await
        }
        ReportKind::Activity => {
            query_scalar!(
                r#"SELECT count(*) AS "count!" FROM reporting.activity WHERE course_id = $1"#,
                course.0
            )
            .fetch_one(db)
            .await
        }
    }
}
