use contracts::catalog::v1::VideoState;
use contracts::events::v1::VideoChanged;
use sqlx::PgExecutor;
use typed_id::{CourseId, InvalidId, VideoId};
use uuid::Uuid;

/// What this service keeps of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    pub id: VideoId,
    pub version: i32,
    pub course_id: CourseId,
    pub youtube_id: String,
    pub title: String,
    pub duration_seconds: i32,
    pub order_index: i32,
    pub is_deleted: bool,
}

struct Row {
    id: Uuid,
    version: i32,
    course_id: Uuid,
    youtube_id: String,
    title: String,
    duration_seconds: i32,
    order_index: i32,
    is_deleted: bool,
}

impl From<Row> for Video {
    fn from(row: Row) -> Self {
        Self {
            id: VideoId(row.id),
            version: row.version,
            course_id: CourseId(row.course_id),
            youtube_id: row.youtube_id,
            title: row.title,
            duration_seconds: row.duration_seconds,
            order_index: row.order_index,
            is_deleted: row.is_deleted,
        }
    }
}

pub async fn by_id(db: impl PgExecutor<'_>, id: VideoId) -> Result<Option<Video>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, version, course_id, youtube_id, title, duration_seconds, order_index, is_deleted
         FROM video_progress.videos WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Video::from))
}

pub async fn by_ids(db: impl PgExecutor<'_>, ids: &[VideoId]) -> Result<Vec<Video>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, version, course_id, youtube_id, title, duration_seconds, order_index, is_deleted
         FROM video_progress.videos WHERE id = ANY ($1)",
        &ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Video::from).collect())
}

/// A present video as its course has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CourseVideo {
    pub video_id: Uuid,
    /// 0 while the catalogue does not know it.
    pub duration_seconds: i32,
}

/// The present videos of courses with their course, each course's in their order.
pub async fn of_courses(
    db: impl PgExecutor<'_>,
    courses: &[Uuid],
) -> Result<Vec<(Uuid, CourseVideo)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT course_id, id, duration_seconds FROM video_progress.videos
         WHERE course_id = ANY ((SELECT $1::uuid[])::uuid[]) AND NOT is_deleted
         ORDER BY course_id, order_index, id",
        courses,
    )
    .fetch_all(db)
    .await?;
    let video = |id, duration_seconds| CourseVideo {
        video_id: id,
        duration_seconds,
    };
    Ok(rows
        .into_iter()
        .map(|row| (row.course_id, video(row.id, row.duration_seconds)))
        .collect())
}

/// Writes the projection of several videos at once, except where it knows a newer version.
pub async fn keep_all(db: impl PgExecutor<'_>, videos: &[Video]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = videos.iter().map(|v| v.id.0).collect();
    let versions: Vec<i32> = videos.iter().map(|v| v.version).collect();
    let courses: Vec<Uuid> = videos.iter().map(|v| v.course_id.0).collect();
    let youtube_ids: Vec<String> = videos.iter().map(|v| v.youtube_id.clone()).collect();
    let titles: Vec<String> = videos.iter().map(|v| v.title.clone()).collect();
    let durations: Vec<i32> = videos.iter().map(|v| v.duration_seconds).collect();
    let places: Vec<i32> = videos.iter().map(|v| v.order_index).collect();
    let deleted: Vec<bool> = videos.iter().map(|v| v.is_deleted).collect();
    sqlx::query!(
        "INSERT INTO video_progress.videos AS v
             (id, version, course_id, youtube_id, title, duration_seconds, order_index, is_deleted)
         SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::int[], $7::int[], $8::bool[])
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, course_id = excluded.course_id, youtube_id = excluded.youtube_id,
             title = excluded.title, duration_seconds = excluded.duration_seconds,
             order_index = excluded.order_index, is_deleted = excluded.is_deleted
         WHERE v.version < excluded.version",
        &ids,
        &versions,
        &courses,
        &youtube_ids,
        &titles,
        &durations,
        &places,
        &deleted,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// As [`keep_all`], of one.
pub async fn keep(db: impl PgExecutor<'_>, video: &Video) -> Result<(), sqlx::Error> {
    keep_all(db, std::slice::from_ref(video)).await
}

impl TryFrom<VideoChanged> for Video {
    type Error = InvalidId;

    fn try_from(event: VideoChanged) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.video_id.parse()?,
            version: event.version,
            course_id: event.course_id.parse()?,
            youtube_id: event.youtube_id,
            title: event.title,
            duration_seconds: event.duration_seconds,
            order_index: event.order_index,
            is_deleted: event.is_deleted,
        })
    }
}

impl TryFrom<VideoState> for Video {
    type Error = InvalidId;

    fn try_from(state: VideoState) -> Result<Self, InvalidId> {
        Ok(Self {
            id: state.video_id.parse()?,
            version: state.version,
            course_id: state.course_id.parse()?,
            youtube_id: state.youtube_id,
            title: state.title,
            duration_seconds: state.duration_seconds,
            order_index: state.order_index,
            is_deleted: false,
        })
    }
}
