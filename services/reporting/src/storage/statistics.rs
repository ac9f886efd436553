use postgres::WriteTx;
use sqlx::{PgExecutor, query, query_as, query_scalar};
use time::{Date, OffsetDateTime};
use typed_id::CourseId;
use uuid::Uuid;

/// What happened on a day, in the school or in a course.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub day: Date,
    /// `None`: the school's.
    pub course_id: Option<Uuid>,
    pub registrations: i32,
    pub active_users: i32,
    pub enrollments: i32,
    pub enrollments_dropped: i32,
    pub videos_completed: i32,
    pub courses_completed: i32,
    pub attempts_submitted: i32,
    pub attempts_graded: i32,
    pub attempts_passed: i32,
    pub average_score_percent: Option<f64>,
}

impl Figures {
    /// A day on which nothing happened.
    pub fn nothing(day: Date) -> Self {
        Self {
            day,
            course_id: None,
            registrations: 0,
            active_users: 0,
            enrollments: 0,
            enrollments_dropped: 0,
            videos_completed: 0,
            courses_completed: 0,
            attempts_submitted: 0,
            attempts_graded: 0,
            attempts_passed: 0,
            average_score_percent: None,
        }
    }
}

/// Counts days, both included: the school's figures of each, and those of each course, or of one course alone. An attempt that was
/// graded twice on a day counts with its last score; one that was only told of again, at the release of results, does not count again.
pub async fn count(
    db: impl PgExecutor<'_>,
    (first, last): (Date, Date),
    course: Option<CourseId>,
) -> Result<Vec<Figures>, sqlx::Error> {
    query_as!(
        Figures,
        r#"WITH facts AS (
               SELECT (at AT TIME ZONE 'Europe/Istanbul')::date AS day, kind, user_id, course_id, subject_id, a.score_percent, a.passed, details,
                      row_number() OVER (
                          PARTITION BY (at AT TIME ZONE 'Europe/Istanbul')::date, kind, subject_id
                          ORDER BY version DESC, at DESC, id DESC) AS turn
               FROM reporting.activity a
               LEFT JOIN LATERAL (
                   SELECT e.score_percent, e.passed FROM reporting.activity e
                   WHERE a.kind = 'exam.attempt_graded' AND e.kind = 'exam.attempt_graded'
                     AND e.subject_id = a.subject_id AND e.version < a.version
                   ORDER BY e.version DESC LIMIT 1
               ) before ON true
               WHERE at >= $1::date::timestamp AT TIME ZONE 'Europe/Istanbul'
                 AND at < ($2::date + 1)::timestamp AT TIME ZONE 'Europe/Istanbul'
                 AND ($3::uuid IS NULL OR course_id = $3)
                 AND (before.passed IS NULL OR (before.score_percent, before.passed) IS DISTINCT FROM (a.score_percent, a.passed))
           )
           SELECT day AS "day!", course_id,
               count(*) FILTER (WHERE kind = 'user.registered')::int AS "registrations!",
               count(DISTINCT user_id) FILTER (WHERE kind IN (
                   'user.registered', 'enrollment.created', 'progress.video_completed', 'progress.course_completed',
                   'exam.attempt_submitted'))::int AS "active_users!",
               count(*) FILTER (WHERE kind = 'enrollment.created')::int AS "enrollments!",
               count(*) FILTER (WHERE kind = 'enrollment.status_changed' AND details->>'status' = 'dropped')::int
                   AS "enrollments_dropped!",
               count(*) FILTER (WHERE kind = 'progress.video_completed')::int AS "videos_completed!",
               count(DISTINCT (user_id, course_id)) FILTER (WHERE kind = 'progress.course_completed')::int
                   AS "courses_completed!",
               count(*) FILTER (WHERE kind = 'exam.attempt_submitted' AND turn = 1)::int AS "attempts_submitted!",
               count(*) FILTER (WHERE kind = 'exam.attempt_graded' AND turn = 1)::int AS "attempts_graded!",
               count(*) FILTER (WHERE kind = 'exam.attempt_graded' AND turn = 1 AND passed)::int AS "attempts_passed!",
               avg(score_percent) FILTER (WHERE kind = 'exam.attempt_graded' AND turn = 1) AS average_score_percent
           FROM facts GROUP BY GROUPING SETS ((day), (day, course_id))
           HAVING grouping(course_id) = 1 OR course_id IS NOT NULL
           ORDER BY day, course_id"#,
        first,
        last,
        course.map(|id| id.0),
    )
    .fetch_all(db)
    .await
}

/// Keeps the figures of a day in place of older ones.
pub async fn keep(
    tx: &mut WriteTx,
    day: Date,
    all: &[Figures],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    query!("DELETE FROM reporting.daily_courses WHERE day = $1", day)
        .execute(&mut **tx)
        .await?;
    query!("DELETE FROM reporting.daily_totals WHERE day = $1", day)
        .execute(&mut **tx)
        .await?;
    let nothing = Figures::nothing(day);
    let total = all
        .iter()
        .find(|figures| figures.course_id.is_none())
        .unwrap_or(&nothing);
    query!(
        "INSERT INTO reporting.daily_totals (day, registrations, active_users, enrollments, enrollments_dropped, videos_completed,
             courses_completed, attempts_submitted, attempts_graded, attempts_passed, average_score_percent, computed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        day,
        total.registrations,
        total.active_users,
        total.enrollments,
        total.enrollments_dropped,
        total.videos_completed,
        total.courses_completed,
        total.attempts_submitted,
        total.attempts_graded,
        total.attempts_passed,
        total.average_score_percent,
        now,
    )
    .execute(&mut **tx)
    .await?;
    let courses: Vec<&Figures> = all.iter().filter(|figures| figures.course_id.is_some()).collect();
    let column = |pick: fn(&Figures) -> i32| courses.iter().map(|one| pick(one)).collect::<Vec<i32>>();
    query!(
        "INSERT INTO reporting.daily_courses (day, course_id, active_users, enrollments, enrollments_dropped, videos_completed,
             courses_completed, attempts_submitted, attempts_graded, attempts_passed, average_score_percent)
         SELECT $1::date, * FROM unnest($2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[],
             $10::int[], $11::float8[])",
        day,
        &courses.iter().filter_map(|one| one.course_id).collect::<Vec<_>>(),
        &column(|one| one.active_users),
        &column(|one| one.enrollments),
        &column(|one| one.enrollments_dropped),
        &column(|one| one.videos_completed),
        &column(|one| one.courses_completed),
        &column(|one| one.attempts_submitted),
        &column(|one| one.attempts_graded),
        &column(|one| one.attempts_passed),
        &courses.iter().map(|one| one.average_score_percent).collect::<Vec<_>>() as &[Option<f64>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes the mark from a day, before it is counted: what comes meanwhile marks it again.
pub async fn unmark(tx: &mut WriteTx, day: Date) -> Result<(), sqlx::Error> {
    query!("DELETE FROM reporting.stale_days WHERE day = $1", day)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Days before `today` that have to be counted: marked ones, and all since the last one that was.
pub async fn due(db: impl PgExecutor<'_>, today: Date) -> Result<Vec<Date>, sqlx::Error> {
    query_scalar!(
        r#"WITH since AS (
               SELECT coalesce(
                   (SELECT max(day) + 1 FROM reporting.daily_totals),
                   (SELECT (min(at) AT TIME ZONE 'Europe/Istanbul')::date FROM reporting.activity)) AS day
           )
           SELECT d::date AS "day!" FROM since, generate_series(since.day, $1::date - 1, interval '1 day') AS d
           UNION SELECT day FROM reporting.stale_days WHERE day < $1
           ORDER BY 1"#,
        today
    )
    .fetch_all(db)
    .await
}

/// The school's figures of a day, where they are kept and nothing came since.
pub async fn total(db: impl PgExecutor<'_>, day: Date) -> Result<Option<Figures>, sqlx::Error> {
    query_as!(
        Figures,
        "SELECT day, NULL::uuid AS course_id, registrations, active_users, enrollments, enrollments_dropped, videos_completed,
             courses_completed, attempts_submitted, attempts_graded, attempts_passed, average_score_percent
         FROM reporting.daily_totals t
         WHERE day = $1 AND NOT EXISTS (SELECT FROM reporting.stale_days s WHERE s.day = t.day)",
        day
    )
    .fetch_optional(db)
    .await
}

/// The kept figures of a course.
pub async fn of_course(
    db: impl PgExecutor<'_>,
    course: CourseId,
    (first, last): (Date, Date),
) -> Result<Vec<Figures>, sqlx::Error> {
    query_as!(
        Figures,
        r#"SELECT day, course_id AS "course_id?", 0 AS "registrations!", active_users, enrollments, enrollments_dropped,
             videos_completed, courses_completed, attempts_submitted, attempts_graded, attempts_passed, average_score_percent
           FROM reporting.daily_courses WHERE course_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day"#,
        course.0,
        first,
        last
    )
    .fetch_all(db)
    .await
}

/// Days whose figures are not kept, or not the last word.
pub async fn not_kept(
    db: impl PgExecutor<'_>,
    (first, last): (Date, Date),
) -> Result<Vec<Date>, sqlx::Error> {
    query_scalar!(
        r#"SELECT d::date AS "day!" FROM generate_series($1::date, $2::date, interval '1 day') AS d
           WHERE NOT EXISTS (SELECT FROM reporting.daily_totals t WHERE t.day = d::date)
              OR EXISTS (SELECT FROM reporting.stale_days s WHERE s.day = d::date)
           ORDER BY 1"#,
        first,
        last
    )
    .fetch_all(db)
    .await
}
