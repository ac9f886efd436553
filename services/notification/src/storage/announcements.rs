use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::{AnnouncementId, CourseId, UserId};
use uuid::Uuid;

/// What a course's staff told its students.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub id: AnnouncementId,
    pub course_id: CourseId,
    pub course_title: String,
    pub title: String,
    pub body: String,
    pub state: String,
    /// The last student it went to.
    pub reached: Uuid,
    pub sent_count: i32,
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    course_id: Uuid,
    course_title: String,
    title: String,
    body: String,
    state: String,
    reached: Uuid,
    sent_count: i32,
    created_at: OffsetDateTime,
}

impl From<Row> for Announcement {
    fn from(row: Row) -> Self {
        Self {
            id: AnnouncementId(row.id),
            course_id: CourseId(row.course_id),
            course_title: row.course_title,
            title: row.title,
            body: row.body,
            state: row.state,
            reached: row.reached,
            sent_count: row.sent_count,
            created_at: row.created_at,
        }
    }
}

pub async fn insert(
    db: impl PgExecutor<'_>,
    announcement: &Announcement,
    author: UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO notification.announcements
             (id, course_id, course_title, author_id, title, body, created_at, turn_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        announcement.id.0,
        announcement.course_id.0,
        announcement.course_title,
        author.0,
        announcement.title,
        announcement.body,
        announcement.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A course's announcements, newest first, before `before`.
pub async fn page(
    db: impl PgExecutor<'_>,
    course: CourseId,
    before: Option<AnnouncementId>,
    limit: i64,
) -> Result<Vec<Announcement>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, course_id, course_title, title, body, state, reached, sent_count, created_at
         FROM notification.announcements
         WHERE course_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        course.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Announcement::from).collect())
}

/// Locks the announcement whose turn it is, unless all are held by others.
pub async fn lock_next(db: impl PgExecutor<'_>) -> Result<Option<Announcement>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, course_id, course_title, title, body, state, reached, sent_count, created_at
         FROM notification.announcements WHERE state = 'sending'
         ORDER BY turn_at LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Announcement::from))
}

/// The next students of a course, by their ids.
pub async fn students_after(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT user_id FROM notification.enrollments
         WHERE course_id = $1 AND user_id > $2 AND status IN ('active', 'completed')
         ORDER BY user_id LIMIT $3",
        course.0,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Records how far the announcement is.
pub async fn advance(
    db: impl PgExecutor<'_>,
    id: AnnouncementId,
    reached: Uuid,
    count: i32,
    is_done: bool,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.announcements
         SET reached = $2, sent_count = sent_count + $3, state = CASE WHEN $4 THEN 'sent' ELSE 'sending' END, turn_at = $5
         WHERE id = $1",
        id.0,
        reached,
        count,
        is_done,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many are being sent.
pub async fn count_sending(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM notification.announcements WHERE state = 'sending'"#
    )
    .fetch_one(db)
    .await
}
