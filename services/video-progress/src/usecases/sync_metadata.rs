use std::collections::HashMap;

use clock::Clock;
use contracts::events::v1::VideoMetadataFetched;
use contracts::timestamp;
use event_bus::outbox;
use postgres::{Database, WriteError, problem_of};
use problem::Problem;
use time::Duration;

use crate::storage::metadata::{self, Due};
use crate::youtube::{BATCH, Metadata, Status, YouTube, YouTubeError, is_id};

/// A claim of an instance that died is free again after this.
const LEASE: Duration = Duration::minutes(10);
/// What is known is not asked for again by itself, but when the schedule says so.
const NOT_BY_ITSELF: Duration = Duration::days(3_650);

/// Keeps what we know of videos in step with YouTube.
pub struct MetadataSync {
    db: Database,
    clock: Clock,
    youtube: YouTube,
}

impl MetadataSync {
    pub fn new(db: Database, clock: Clock, youtube: YouTube) -> Self {
        Self { db, clock, youtube }
    }

    /// Asks for one batch of what is due, and says how many it was.
    pub async fn round(&self) -> Result<usize, Problem> {
        if self.youtube.is_resting() {
            return Ok(0);
        }
        let now = self.clock.now();
        let due = metadata::claim(self.db.primary(), now, LEASE, BATCH as i64)
            .await
            .map_err(problem_of)?;
        if due.is_empty() {
            return Ok(0);
        }
        // Nothing else ever leaves this house (C-VID-01): what is no id is as good as gone.
        let ids: Vec<&str> = due
            .iter()
            .map(|due| due.youtube_id.as_str())
            .filter(|id| is_id(id))
            .collect();
        match self.youtube.videos(&ids).await {
            Ok(found) => self.store(due, found).await,
            Err(fault) => {
                let pause = match fault {
                    // Quotas are given out anew at midnight in California; asking each hour costs nothing.
                    YouTubeError::QuotaExceeded | YouTubeError::Refused(_) => Duration::hours(1),
                    YouTubeError::Unavailable(_) | YouTubeError::Malformed => Duration::minutes(1),
                };
                metrics::counter!("youtube_failures_total").increment(1);
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    videos = due.len(),
                    "YouTube gave no metadata"
                );
                metadata::postpone(self.db.primary(), &due, now + pause)
                    .await
                    .map_err(problem_of)?;
                Ok(0)
            }
        }
    }

    async fn store(&self, due: Vec<Due>, mut found: HashMap<String, Metadata>) -> Result<usize, Problem> {
        let (now, count) = (self.clock.now(), due.len());
        let told: Vec<(Due, Metadata)> = due
            .into_iter()
            .map(|due| {
                let metadata = found.remove(&due.youtube_id).unwrap_or_else(Metadata::gone);
                (due, metadata)
            })
            .collect();
        let next = now + NOT_BY_ITSELF;
        let stored = self.db.write::<_, WriteError, _, _>(move |mut tx| async move {
            let changed = metadata::store(&mut tx, &told, now, next).await?;
            let events: Vec<VideoMetadataFetched> = told
                .iter()
                .filter(|(due, _)| changed.iter().any(|id| id.0 == due.video_id))
                .map(|(due, metadata)| VideoMetadataFetched {
                    video_id: due.video_id.to_string(),
                    youtube_id: due.youtube_id.clone(),
                    status: metadata.status.as_str().to_owned(),
                    title: metadata.title.clone(),
                    duration_seconds: metadata.duration_seconds,
                    thumbnail_url: metadata.thumbnail_url.clone(),
                    fetched_at: Some(timestamp(now)),
                })
                .collect();
            outbox::append_all(&mut tx, &events).await?;
            let gone = told
                .iter()
                .filter(|(_, metadata)| metadata.status != Status::Available)
                .count();
            tx.commit(gone).await
        });
        let unusable = stored.await?;
        tracing::info!(videos = count, unusable, "asked YouTube");
        Ok(count)
    }
}
