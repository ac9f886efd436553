use sqlx::{PgConnection, PgExecutor};
use time::{Duration, OffsetDateTime};
use typed_id::VideoId;
use uuid::Uuid;

use super::videos::Video;
use crate::youtube::Metadata;

/// A video to ask YouTube for.
#[derive(Debug, Clone)]
pub struct Due {
    pub video_id: Uuid,
    pub youtube_id: String,
}

/// Puts videos on the list, due at once where they are new or other ones, and gives those; takes deleted ones off. Each once.
pub async fn keep_all(db: impl PgExecutor<'_>, videos: &[Video]) -> Result<Vec<VideoId>, sqlx::Error> {
    let ids: Vec<Uuid> = videos.iter().map(|video| video.id.0).collect();
    let youtube_ids: Vec<String> = videos.iter().map(|video| video.youtube_id.clone()).collect();
    let deleted: Vec<bool> = videos.iter().map(|video| video.is_deleted).collect();
    let unknown = sqlx::query_scalar!(
        "WITH told AS (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::bool[]) AS t (video_id, youtube_id, is_deleted)
         ), gone AS (
             DELETE FROM video_progress.metadata m USING told WHERE m.video_id = told.video_id AND told.is_deleted
         )
         INSERT INTO video_progress.metadata AS m (video_id, youtube_id, due_at)
         SELECT video_id, youtube_id, clock_timestamp() FROM told WHERE NOT is_deleted
         ON CONFLICT (video_id) DO UPDATE SET youtube_id = excluded.youtube_id, status = NULL, due_at = excluded.due_at
         WHERE m.youtube_id <> excluded.youtube_id
         RETURNING m.video_id",
        &ids,
        &youtube_ids,
        &deleted,
    )
    .fetch_all(db)
    .await?;
    Ok(unknown.into_iter().map(VideoId).collect())
}

/// Takes a video that YouTube was not asked for yet, whoever else is asking, and other new ones that nobody asks for, at most `limit`;
/// nothing when the video itself is known or gone.
pub async fn claim_new(
    db: impl PgExecutor<'_>,
    video: VideoId,
    now: OffsetDateTime,
    lease: Duration,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        "WITH own AS (
             SELECT video_id FROM video_progress.metadata WHERE video_id = $1 AND status IS NULL
             FOR UPDATE
         ), others AS (
             SELECT video_id FROM video_progress.metadata
             WHERE status IS NULL AND due_at <= $2 AND video_id <> $1 AND EXISTS (SELECT FROM own)
             ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
         )
         UPDATE video_progress.metadata SET due_at = $3
         WHERE video_id = ANY (ARRAY(SELECT video_id FROM own) || ARRAY(SELECT video_id FROM others))
           AND EXISTS (SELECT FROM own)
         RETURNING video_id, youtube_id",
        video.0,
        now,
        now + lease,
        limit - 1,
    )
    .fetch_all(db)
    .await
}

/// Takes what is due, at most `limit`, and keeps it from others for a while.
pub async fn claim(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    lease: Duration,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        "UPDATE video_progress.metadata SET due_at = $2
         WHERE video_id IN (
             SELECT video_id FROM video_progress.metadata WHERE due_at <= $1
             ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING video_id, youtube_id",
        now,
        now + lease,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Writes what YouTube told, and gives the videos of which it did: not those that have another id by now.
pub async fn store(
    db: &mut PgConnection,
    told: &[(Due, Metadata)],
    now: OffsetDateTime,
    next: OffsetDateTime,
) -> Result<Vec<VideoId>, sqlx::Error> {
    let ids: Vec<Uuid> = told.iter().map(|(due, _)| due.video_id).collect();
    let youtube_ids: Vec<String> = told.iter().map(|(due, _)| due.youtube_id.clone()).collect();
    let statuses: Vec<String> = told.iter().map(|(_, m)| m.status.as_str().to_owned()).collect();
    let titles: Vec<String> = told.iter().map(|(_, m)| m.title.clone()).collect();
    let durations: Vec<i32> = told.iter().map(|(_, m)| m.duration_seconds).collect();
    let thumbnails: Vec<String> = told.iter().map(|(_, m)| m.thumbnail_url.clone()).collect();
    let written = sqlx::query_scalar!(
        "UPDATE video_progress.metadata m
         SET status = t.status, title = t.title, duration_seconds = t.duration_seconds,
             thumbnail_url = t.thumbnail_url, fetched_at = $7, due_at = $8
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[])
              AS t (video_id, youtube_id, status, title, duration_seconds, thumbnail_url)
         WHERE m.video_id = t.video_id AND m.youtube_id = t.youtube_id
         RETURNING m.video_id",
        &ids,
        &youtube_ids,
        &statuses,
        &titles,
        &durations,
        &thumbnails,
        now,
        next,
    )
    .fetch_all(db)
    .await?;
    Ok(written.into_iter().map(VideoId).collect())
}

/// Has everything that is known asked for again; gives how much that is.
pub async fn all_due(db: impl PgExecutor<'_>, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let due = sqlx::query!(
        "UPDATE video_progress.metadata SET due_at = $1 WHERE status IS NOT NULL AND due_at > $1",
        now,
    )
    .execute(db)
    .await?;
    Ok(due.rows_affected())
}

/// Puts off what could not be asked for.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    due: &[Due],
    until: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = due.iter().map(|due| due.video_id).collect();
    sqlx::query!(
        "UPDATE video_progress.metadata SET due_at = $2 WHERE video_id = ANY ($1)",
        &ids,
        until,
    )
    .execute(db)
    .await?;
    Ok(())
}
