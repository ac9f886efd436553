use std::collections::HashMap;

use event_bus::HandlerError;
use postgres::WriteTx;
use task_queue::enqueue_all;
use time::OffsetDateTime;
use typed_id::{CourseId, VideoId};

use super::complete_courses::after_changes;
use crate::storage::metadata;
use crate::storage::videos::{self, Video};
use crate::tasks::FetchMetadata;

/// Keeps what the catalogue tells of its videos, with what follows from it for those who have watched them. Gives their ids, with
/// those of their courses.
pub async fn keep_videos(
    tx: &mut WriteTx,
    told: Vec<Video>,
    asks_youtube: bool,
    now: OffsetDateTime,
) -> Result<Vec<(VideoId, CourseId)>, HandlerError> {
    let mut latest: HashMap<VideoId, Video> = HashMap::new();
    for video in told {
        let known = latest.entry(video.id).or_insert_with(|| video.clone());
        if known.version < video.version {
            *known = video;
        }
    }
    let mut latest: Vec<Video> = latest.into_values().collect();
    latest.sort_unstable_by_key(|video| video.id.0);
    let ids: Vec<VideoId> = latest.iter().map(|video| video.id).collect();
    let lengths: HashMap<VideoId, i32> = videos::by_ids(&mut **tx, &ids)
        .await?
        .into_iter()
        .map(|video| (video.id, video.duration_seconds))
        .collect();
    videos::keep_all(&mut **tx, &latest).await?;
    // What is stored, as this may be an older word than that.
    let stored = videos::by_ids(&mut **tx, &ids).await?;
    let unknown = metadata::keep_all(&mut **tx, &stored).await?;
    if asks_youtube && !unknown.is_empty() {
        let tasks: Vec<FetchMetadata> = unknown
            .into_iter()
            .map(|video_id| FetchMetadata { video_id })
            .collect();
        enqueue_all(tx, &tasks).await?;
    }
    // Nobody has watched anything of one that is new.
    let has_new_length = |video: &&Video| {
        let before = lengths.get(&video.id);
        video.duration_seconds > 0 && before.is_some_and(|before| *before != video.duration_seconds)
    };
    let measured: Vec<&Video> = stored.iter().filter(has_new_length).collect();
    let removed = stored.iter().filter(|video| video.is_deleted);
    let shorter: Vec<CourseId> = removed.map(|video| video.course_id).collect();
    after_changes(tx, &measured, &shorter, now).await?;
    Ok(stored.iter().map(|video| (video.id, video.course_id)).collect())
}
