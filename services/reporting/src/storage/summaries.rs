use sqlx::PgExecutor;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A teacher's week.
#[derive(Debug, Clone, PartialEq)]
pub struct Week {
    pub teacher_id: Uuid,
    pub courses: i32,
    pub active_students: i32,
    pub enrollments: i32,
    pub videos_completed: i32,
    pub courses_completed: i32,
    pub attempts_submitted: i32,
    pub attempts_graded: i32,
    pub average_score_percent: Option<f64>,
}

/// What happened in the courses of each teacher, where anything did, of those who were not told yet.
pub async fn weeks(db: impl PgExecutor<'_>, (first, last): (Date, Date)) -> Result<Vec<Week>, sqlx::Error> {
    sqlx::query_as!(
        Week,
        r#"WITH facts AS (
               SELECT kind, user_id, course_id, a.score_percent,
                      row_number() OVER (PARTITION BY kind, subject_id ORDER BY version DESC, at DESC, id DESC) AS turn
               FROM reporting.activity a
               LEFT JOIN LATERAL (
                   SELECT e.score_percent, e.passed FROM reporting.activity e
                   WHERE a.kind = 'exam.attempt_graded' AND e.kind = 'exam.attempt_graded'
                     AND e.subject_id = a.subject_id AND e.version < a.version
                   ORDER BY e.version DESC LIMIT 1
               ) before ON true
               WHERE at >= $1::date::timestamp AT TIME ZONE 'Europe/Istanbul'
                 AND at < ($2::date + 1)::timestamp AT TIME ZONE 'Europe/Istanbul'
                 AND kind IN ('enrollment.created', 'progress.video_completed', 'progress.course_completed',
                              'exam.attempt_submitted', 'exam.attempt_graded')
                 AND (before.passed IS NULL OR (before.score_percent, before.passed) IS DISTINCT FROM (a.score_percent, a.passed))
           )
           SELECT c.teacher_id,
               count(DISTINCT f.course_id)::int AS "courses!",
               count(DISTINCT f.user_id) FILTER (WHERE f.kind <> 'exam.attempt_graded')::int AS "active_students!",
               count(*) FILTER (WHERE f.kind = 'enrollment.created')::int AS "enrollments!",
               count(*) FILTER (WHERE f.kind = 'progress.video_completed')::int AS "videos_completed!",
               count(DISTINCT (f.user_id, f.course_id)) FILTER (WHERE f.kind = 'progress.course_completed')::int
                   AS "courses_completed!",
               count(*) FILTER (WHERE f.kind = 'exam.attempt_submitted' AND turn = 1)::int AS "attempts_submitted!",
               count(*) FILTER (WHERE f.kind = 'exam.attempt_graded' AND turn = 1)::int AS "attempts_graded!",
               avg(f.score_percent) FILTER (WHERE f.kind = 'exam.attempt_graded' AND turn = 1) AS average_score_percent
           FROM facts f JOIN reporting.courses c ON c.id = f.course_id
           WHERE NOT EXISTS (SELECT FROM reporting.weekly_summaries w
                             WHERE w.teacher_id = c.teacher_id AND w.first_day = $1)
             AND NOT EXISTS (SELECT FROM reporting.erased_users e WHERE e.user_id = c.teacher_id)
           GROUP BY c.teacher_id ORDER BY c.teacher_id"#,
        first,
        last
    )
    .fetch_all(db)
    .await
}

/// Records that teachers are told of a week; gives those who were not before.
pub async fn record(
    db: impl PgExecutor<'_>,
    teachers: &[Uuid],
    first_day: Date,
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO reporting.weekly_summaries (teacher_id, first_day, made_at)
         SELECT teacher, $2, $3 FROM unnest($1::uuid[]) AS teacher
         ON CONFLICT DO NOTHING RETURNING teacher_id",
        teachers,
        first_day,
        now
    )
    .fetch_all(db)
    .await
}
