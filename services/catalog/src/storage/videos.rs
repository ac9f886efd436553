use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, VideoId};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct Video {
    pub id: Uuid,
    pub course_id: Uuid,
    pub topic_id: Option<Uuid>,
    pub youtube_id: String,
    pub title: String,
    pub order_index: i32,
    pub duration_seconds: i32,
    pub version: i32,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// `None` until YouTube was asked.
    pub youtube_status: Option<String>,
    pub thumbnail_url: String,
    pub youtube_synced_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone)]
pub struct NewVideo {
    pub id: VideoId,
    pub course_id: CourseId,
    pub topic_id: Option<Uuid>,
    pub youtube_id: String,
    pub title: String,
    /// Last in the course when `None`.
    pub order_index: Option<i32>,
    pub duration_seconds: i32,
    pub now: OffsetDateTime,
}

/// Breaks `idx_videos_course_youtube` when the course has the video.
pub async fn insert(db: &mut PgConnection, new: &NewVideo) -> Result<Video, sqlx::Error> {
    sqlx::query_as!(
        Video,
        "INSERT INTO catalog.videos
             (id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5,
                 coalesce($6, (SELECT coalesce(max(order_index) + 1, 0) FROM catalog.videos WHERE course_id = $2)), $7, $8, $8)
         RETURNING id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, version, created_at, updated_at,
                   youtube_status, thumbnail_url, youtube_synced_at",
        new.id.0,
        new.course_id.0,
        new.topic_id,
        new.youtube_id,
        new.title,
        new.order_index,
        new.duration_seconds,
        new.now,
    )
    .fetch_one(db)
    .await
}

/// Writes all that may change of a video, and counts the version up. What YouTube told of another id is forgotten.
pub async fn update(db: &mut PgConnection, video: &Video, now: OffsetDateTime) -> Result<Video, sqlx::Error> {
    sqlx::query_as!(
        Video,
        "UPDATE catalog.videos SET topic_id = $2, youtube_id = $3, title = $4, order_index = $5, duration_seconds = $6,
             updated_at = $7, version = version + 1,
             youtube_status = CASE WHEN youtube_id = $3 THEN youtube_status END,
             thumbnail_url = CASE WHEN youtube_id = $3 THEN thumbnail_url ELSE '' END,
             youtube_synced_at = CASE WHEN youtube_id = $3 THEN youtube_synced_at END
         WHERE id = $1
         RETURNING id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, version, created_at, updated_at,
                   youtube_status, thumbnail_url, youtube_synced_at",
        video.id,
        video.topic_id,
        video.youtube_id,
        video.title,
        video.order_index,
        video.duration_seconds,
        now,
    )
    .fetch_one(db)
    .await
}

/// What YouTube tells of a video beside its title and length.
#[derive(Debug, Clone)]
pub struct Synced {
    pub status: String,
    pub thumbnail_url: String,
    pub at: OffsetDateTime,
}

/// Writes what YouTube told of a video, unless it has another id by now or something newer is known; gives the video, locked. It is
/// nothing that others keep, so that the version stays.
pub async fn keep_synced(
    db: &mut PgConnection,
    id: VideoId,
    youtube_id: &str,
    synced: &Synced,
) -> Result<Option<Video>, sqlx::Error> {
    sqlx::query_as!(
        Video,
        "UPDATE catalog.videos SET youtube_status = $3, thumbnail_url = $4, youtube_synced_at = $5
         WHERE id = $1 AND youtube_id = $2 AND (youtube_synced_at IS NULL OR youtube_synced_at <= $5)
         RETURNING id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, version, created_at, updated_at,
                   youtube_status, thumbnail_url, youtube_synced_at",
        id.0,
        youtube_id,
        synced.status,
        synced.thumbnail_url,
        synced.at,
    )
    .fetch_optional(db)
    .await
}

pub async fn delete(db: &mut PgConnection, id: VideoId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM catalog.videos WHERE id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn by_id(db: impl PgExecutor<'_>, id: VideoId) -> Result<Option<Video>, sqlx::Error> {
    sqlx::query_as!(
        Video,
        "SELECT id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, version, created_at, updated_at,
                   youtube_status, thumbnail_url, youtube_synced_at
         FROM catalog.videos WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// A course's videos in order.
pub async fn of_course(db: impl PgExecutor<'_>, course: CourseId) -> Result<Vec<Video>, sqlx::Error> {
    sqlx::query_as!(
        Video,
        "SELECT id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, version, created_at, updated_at,
                   youtube_status, thumbnail_url, youtube_synced_at
         FROM catalog.videos WHERE course_id = $1 ORDER BY order_index, id",
        course.0,
    )
    .fetch_all(db)
    .await
}

/// One page of a course's videos in order, after `after`.
pub async fn page(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Option<(i32, Uuid)>,
    limit: i64,
) -> Result<Vec<Video>, sqlx::Error> {
    let (place, id) = after.unzip();
    sqlx::query_as!(
        Video,
        "SELECT id, course_id, topic_id, youtube_id, title, order_index, duration_seconds, version, created_at, updated_at,
                youtube_status, thumbnail_url, youtube_synced_at
         FROM catalog.videos
         WHERE course_id = $1 AND ($2::int IS NULL OR (order_index, id) > ($2::int, $3::uuid))
         ORDER BY order_index, id LIMIT $4",
        course.0,
        place,
        id,
        limit,
    )
    .fetch_all(db)
    .await
}
