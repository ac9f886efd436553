use std::collections::BTreeMap;

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, UserId, VideoId};
use uuid::Uuid;

use super::videos::Video;
use crate::domain::watched::{Segments, Watched};

/// A student's progress in a video, as stored.
#[derive(Debug, Clone)]
pub struct Progress {
    pub user_id: UserId,
    pub video_id: VideoId,
    pub course_id: CourseId,
    pub watched: Watched,
    pub updated_at: OffsetDateTime,
}

impl Progress {
    pub fn key(&self) -> (UserId, VideoId) {
        (self.user_id, self.video_id)
    }
}

struct Row {
    user_id: Uuid,
    video_id: Uuid,
    course_id: Uuid,
    segments: Vec<i32>,
    position_seconds: i32,
    reported_seconds: i32,
    best_percent: f64,
    started_at: OffsetDateTime,
    completed_at: Option<OffsetDateTime>,
    updated_at: OffsetDateTime,
}

impl From<Row> for Progress {
    fn from(row: Row) -> Self {
        Self {
            user_id: UserId(row.user_id),
            video_id: VideoId(row.video_id),
            course_id: CourseId(row.course_id),
            watched: Watched {
                segments: Segments::from_bounds(&row.segments),
                position: row.position_seconds,
                reported_length: row.reported_seconds,
                best_percent: row.best_percent,
                started_at: row.started_at,
                completed_at: row.completed_at,
            },
            updated_at: row.updated_at,
        }
    }
}

pub async fn of_video(
    db: impl PgExecutor<'_>,
    user: UserId,
    video: VideoId,
) -> Result<Option<Progress>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT user_id, video_id, course_id, segments, position_seconds, reported_seconds, best_percent, started_at, completed_at, updated_at
         FROM video_progress.progress WHERE user_id = $1 AND video_id = $2",
        user.0,
        video.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Progress::from))
}

/// Locks the rows of many, in one order for everybody, so that no two batches wait for each other.
pub async fn lock(
    db: &mut PgConnection,
    users: &[Uuid],
    videos: &[Uuid],
) -> Result<Vec<Progress>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT user_id, video_id, course_id, segments, position_seconds, reported_seconds, best_percent, started_at, completed_at, updated_at
         FROM video_progress.progress
         WHERE (user_id, video_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
         ORDER BY user_id, video_id FOR UPDATE",
        users,
        videos,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Progress::from).collect())
}

/// Opens the progress of those who have none yet.
pub async fn open(
    db: &mut PgConnection,
    users: &[Uuid],
    videos: &[Uuid],
    courses: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO video_progress.progress (user_id, video_id, course_id, started_at, updated_at)
         SELECT DISTINCT ON (user_id, video_id) user_id, video_id, course_id, $4::timestamptz, $4::timestamptz
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t (user_id, video_id, course_id)
         ORDER BY user_id, video_id
         ON CONFLICT (user_id, video_id) DO NOTHING",
        users,
        videos,
        courses,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A row's new state, and when the one was written that it follows.
#[derive(Debug, Clone)]
pub struct Change {
    pub after: OffsetDateTime,
    pub progress: Progress,
}

/// Writes the rows that nobody wrote meanwhile, and gives their keys. To write the same once more changes nothing. The sub-select hides how
/// many they are: PostgreSQL would plan the statement anew (docs/adr/0033).
pub async fn store(db: impl PgExecutor<'_>, all: &[Change]) -> Result<Vec<(UserId, VideoId)>, sqlx::Error> {
    let before: Vec<OffsetDateTime> = all.iter().map(|change| change.after).collect();
    let all: Vec<&Progress> = all.iter().map(|change| &change.progress).collect();
    let users: Vec<Uuid> = all.iter().map(|p| p.user_id.0).collect();
    let videos: Vec<Uuid> = all.iter().map(|p| p.video_id.0).collect();
    // PostgreSQL has no arrays of arrays of different length; a text each is cast back.
    let segments: Vec<String> = all
        .iter()
        .map(|p| array_text(&p.watched.segments.bounds()))
        .collect();
    let positions: Vec<i32> = all.iter().map(|p| p.watched.position).collect();
    let lengths: Vec<i32> = all.iter().map(|p| p.watched.reported_length).collect();
    let percents: Vec<f64> = all.iter().map(|p| p.watched.best_percent).collect();
    let completed: Vec<Option<OffsetDateTime>> = all.iter().map(|p| p.watched.completed_at).collect();
    let updated: Vec<OffsetDateTime> = all.iter().map(|p| p.updated_at).collect();
    let rows = sqlx::query!(
        "WITH told AS MATERIALIZED (
             SELECT * FROM unnest((SELECT $1::uuid[]), $2::uuid[], $3::text[], $4::int[], $5::int[], $6::float8[],
                                  $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
                  AS t (user_id, video_id, segments, position, length, percent, completed_at, updated_at, before)
         ), locked AS MATERIALIZED (
             -- In one order for everybody, so that no two batches wait for each other.
             SELECT p.user_id, p.video_id FROM video_progress.progress p
             WHERE (p.user_id, p.video_id) IN (SELECT user_id, video_id FROM told)
             ORDER BY p.user_id, p.video_id FOR UPDATE
         )
         UPDATE video_progress.progress p
         SET segments = t.segments::int[], position_seconds = t.position, reported_seconds = t.length,
             best_percent = t.percent, completed_at = t.completed_at, updated_at = t.updated_at
         FROM told t JOIN locked USING (user_id, video_id)
         WHERE p.user_id = t.user_id AND p.video_id = t.video_id
           AND (p.updated_at = t.before
                OR (p.updated_at = t.updated_at AND p.segments = t.segments::int[] AND p.best_percent = t.percent
                    AND p.completed_at IS NOT DISTINCT FROM t.completed_at))
         RETURNING p.user_id, p.video_id",
        &users,
        &videos,
        &segments,
        &positions,
        &lengths,
        &percents,
        &completed as &[Option<OffsetDateTime>],
        &updated,
        &before,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (UserId(row.user_id), VideoId(row.video_id)))
        .collect())
}

fn array_text(values: &[i32]) -> String {
    let texts: Vec<String> = values.iter().map(i32::to_string).collect();
    format!("{{{}}}", texts.join(","))
}

/// Completes videos for those of their courses' students who have watched so many seconds of them already; gives students and videos.
pub async fn complete_videos(
    db: &mut PgConnection,
    needed: &[(&Video, i32)],
    now: OffsetDateTime,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let videos: Vec<Uuid> = needed.iter().map(|(video, _)| video.id.0).collect();
    let courses: Vec<Uuid> = needed.iter().map(|(video, _)| video.course_id.0).collect();
    let lengths: Vec<i32> = needed.iter().map(|(video, _)| video.duration_seconds).collect();
    let seconds: Vec<i32> = needed.iter().map(|(_, seconds)| *seconds).collect();
    let rows = sqlx::query!(
        r#"WITH due AS MATERIALIZED (
               SELECT p.user_id, p.video_id
               FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) AS t (video_id, course_id, length, seconds)
               JOIN video_progress.enrollments e ON e.course_id = t.course_id
               JOIN video_progress.progress p ON p.user_id = e.user_id AND p.video_id = t.video_id
               WHERE p.completed_at IS NULL
                 AND t.seconds <= (SELECT coalesce(sum(least(p.segments[i + 1], t.length) - least(p.segments[i], t.length)), 0)
                                   FROM generate_series(1, cardinality(p.segments), 2) AS i)
               ORDER BY p.user_id, p.video_id FOR UPDATE OF p
           )
           -- Younger than what any process remembers.
           UPDATE video_progress.progress p
           SET completed_at = $5, updated_at = greatest($5, p.updated_at + interval '1 microsecond')
           FROM due WHERE p.user_id = due.user_id AND p.video_id = due.video_id
           RETURNING p.user_id, p.video_id"#,
        &videos,
        &courses,
        &lengths,
        &seconds,
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.video_id)).collect())
}

/// Notes which of these students have completed every video that their course has now; gives those for whom that is new.
pub async fn complete_courses(
    db: &mut PgConnection,
    users: &[Uuid],
    courses: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<(UserId, CourseId, String)>, sqlx::Error> {
    // Turns for each course, in a statement of its own: two who complete its last two videos at once would not see each other.
    sqlx::query(
        "SELECT pg_advisory_xact_lock(key) FROM (
             SELECT DISTINCT hashtextextended('course-completion:' || course::text, 0) AS key
             FROM unnest($1::uuid[]) AS wanted (course) ORDER BY 1) AS keys",
    )
    .bind(courses)
    .execute(&mut *db)
    .await?;
    let rows = sqlx::query!(
        r#"WITH done AS (
               SELECT DISTINCT t.user_id, t.course_id FROM unnest($1::uuid[], $2::uuid[]) AS t (user_id, course_id)
               WHERE EXISTS (SELECT FROM video_progress.videos v WHERE v.course_id = t.course_id AND NOT v.is_deleted)
                 AND NOT EXISTS (
                     SELECT FROM video_progress.videos v
                     LEFT JOIN video_progress.progress p ON p.user_id = t.user_id AND p.video_id = v.id
                     WHERE v.course_id = t.course_id AND NOT v.is_deleted AND p.completed_at IS NULL)
           ), new AS (
               INSERT INTO video_progress.course_completions (user_id, course_id, completed_at)
               SELECT user_id, course_id, $3 FROM done ORDER BY user_id, course_id
               ON CONFLICT DO NOTHING RETURNING user_id, course_id
           )
           SELECT new.user_id AS "user_id!", new.course_id AS "course_id!", coalesce(c.title, '') AS "title!"
           FROM new LEFT JOIN video_progress.courses c ON c.id = new.course_id"#,
        users,
        courses,
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (UserId(row.user_id), CourseId(row.course_id), row.title))
        .collect())
}

/// Students who have completed some video of these courses, each with the course.
pub async fn who_completed_some(
    db: impl PgExecutor<'_>,
    courses: &[CourseId],
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let courses: Vec<Uuid> = courses.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "SELECT DISTINCT user_id, course_id FROM video_progress.progress
         WHERE course_id = ANY ($1) AND completed_at IS NOT NULL",
        &courses,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.course_id)).collect())
}

/// What a student has watched of a video.
#[derive(Debug, Clone)]
pub struct Seen {
    pub user_id: Uuid,
    pub video_id: Uuid,
    pub segments: Vec<i32>,
    pub position_seconds: i32,
    pub reported_seconds: i32,
    pub best_percent: f64,
    pub completed_at: Option<OffsetDateTime>,
    pub updated_at: OffsetDateTime,
}

/// A course that a student learns in, and all that they have watched of it, of removed videos too.
#[derive(Debug, Clone)]
pub struct LearntCourse {
    pub course_id: Uuid,
    /// Empty while the projection has not heard of the course.
    pub title: String,
    pub seen: Vec<Seen>,
}

/// Courses that a student learns in, after `after`, in the order of their ids. The array is made once, so that the student's rows are
/// read once and not once a course. The other sub-selects hide the values: the plan is made once (docs/adr/0033).
pub async fn courses_of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<LearntCourse>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"WITH mine AS MATERIALIZED (
               SELECT e.course_id, coalesce((SELECT c.title FROM video_progress.courses c WHERE c.id = e.course_id), '') AS title
               FROM video_progress.enrollments e
               WHERE e.user_id = (SELECT $1::uuid) AND e.status IN ('active', 'completed') AND e.course_id > (SELECT $2::uuid)
               ORDER BY e.course_id LIMIT (SELECT $3::bigint)
           )
           SELECT mine.course_id AS "course_id!", mine.title AS "title?", NULL::uuid AS "video_id?", NULL::int[] AS "segments?",
                  NULL::int AS "position_seconds?", NULL::int AS "reported_seconds?", NULL::float8 AS "best_percent?",
                  NULL::timestamptz AS "completed_at?", NULL::timestamptz AS "updated_at?"
           FROM mine
           UNION ALL
           SELECT p.course_id, NULL, p.video_id, p.segments, p.position_seconds, p.reported_seconds, p.best_percent,
                  p.completed_at, p.updated_at
           FROM video_progress.progress p
           WHERE p.user_id = (SELECT $1::uuid) AND p.course_id = ANY (ARRAY(SELECT course_id FROM mine))"#,
        user.0,
        after.unwrap_or(Uuid::nil()),
        limit,
    )
    .fetch_all(db)
    .await?;
    let mut courses: BTreeMap<Uuid, LearntCourse> = BTreeMap::new();
    for row in rows {
        let course = courses.entry(row.course_id).or_insert_with(|| LearntCourse {
            course_id: row.course_id,
            title: String::new(),
            seen: Vec::new(),
        });
        if let Some(title) = row.title {
            course.title = title;
        }
        // All or none of a row's columns are there.
        let seen = (row.video_id, row.segments, row.best_percent, row.updated_at);
        if let (Some(video_id), Some(segments), Some(best_percent), Some(updated_at)) = seen {
            course.seen.push(Seen {
                user_id: user.0,
                video_id,
                segments,
                position_seconds: row.position_seconds.unwrap_or_default(),
                reported_seconds: row.reported_seconds.unwrap_or_default(),
                best_percent,
                completed_at: row.completed_at,
                updated_at,
            });
        }
    }
    Ok(courses.into_values().collect())
}

/// Students of a course, after `after`; the name is empty while it is not known.
pub async fn students_of_course(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT e.user_id AS "user_id!", coalesce(u.full_name, '') AS "full_name!"
           FROM video_progress.enrollments e LEFT JOIN video_progress.users u ON u.id = e.user_id
           WHERE e.course_id = $1 AND e.status IN ('active', 'completed') AND ($2::uuid IS NULL OR e.user_id > $2)
           ORDER BY e.user_id LIMIT $3"#,
        course.0,
        after,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.full_name)).collect())
}

/// What students have watched of a course, of removed videos too.
pub async fn of_students(
    db: impl PgExecutor<'_>,
    course: CourseId,
    users: &[Uuid],
) -> Result<Vec<Seen>, sqlx::Error> {
    sqlx::query_as!(
        Seen,
        "SELECT user_id, video_id, segments, position_seconds, reported_seconds, best_percent, completed_at, updated_at
         FROM video_progress.progress
         WHERE user_id = ANY ((SELECT $2::uuid[])::uuid[]) AND course_id = (SELECT $1::uuid)",
        course.0,
        users,
    )
    .fetch_all(db)
    .await
}
