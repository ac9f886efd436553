use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration as StdDuration;

use clock::Clock;
use contracts::events::v1::VideoMetadataFetched;
use contracts::timestamp;
use event_bus::outbox;
use postgres::{Database, WriteTx};
use task_queue::TaskError;
use time::{Duration, OffsetDateTime};
use typed_id::VideoId;

use crate::storage::metadata::{self, Due};
use crate::youtube::{BATCH, Metadata, Status, YouTube, YouTubeError, is_id};

/// A claim of an instance that died is free again after this.
const LEASE: Duration = Duration::minutes(10);
/// What is known is not asked for again by itself, but when the schedule says so.
const NOT_BY_ITSELF: Duration = Duration::days(3_650);
/// While it fails again and again.
const REST: StdDuration = StdDuration::from_mins(1);
/// Quotas are given out anew at midnight in California; asking each hour costs nothing.
const QUOTA_REST: StdDuration = StdDuration::from_hours(1);

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// This video, if it is not known yet, and with it others that are new: an answer of many costs as much as one.
    New(VideoId),
    /// Whatever is due.
    Due,
}

/// Keeps what we know of videos in step with YouTube.
pub struct MetadataSync {
    db: Database,
    clock: Clock,
    youtube: YouTube,
    /// Seconds since 1970.
    no_quota_until: AtomicI64,
}

/// What YouTube told of a batch, still to be stored.
#[derive(Debug)]
pub struct Told {
    videos: Vec<(Due, Metadata)>,
    at: OffsetDateTime,
}

impl MetadataSync {
    pub fn new(db: Database, clock: Clock, youtube: YouTube) -> Self {
        Self {
            db,
            clock,
            youtube,
            no_quota_until: AtomicI64::new(0),
        }
    }

    /// Asks for one batch; `None` when there is nothing to ask for.
    pub async fn ask(&self, wanted: Wanted) -> Result<Option<Told>, TaskError> {
        let now = self.clock.now();
        if now.unix_timestamp() < self.no_quota_until.load(Ordering::Relaxed) {
            return Err(not_now(QUOTA_REST, "the quota is used up"));
        }
        let (db, limit) = (self.db.primary(), BATCH as i64);
        let due = match wanted {
            Wanted::New(video) => metadata::claim_new(db, video, now, LEASE, limit).await?,
            Wanted::Due => metadata::claim(db, now, LEASE, limit).await?,
        };
        if due.is_empty() {
            return Ok(None);
        }
        // Last of all, as after a rest one call is let through, and has to be made.
        if self.youtube.is_resting() {
            metadata::postpone(db, &due, now).await?;
            return Err(not_now(REST, "it failed too often"));
        }
        // Nothing else ever leaves this house (C-VID-01): what is no id is as good as gone.
        let ids: Vec<&str> = due
            .iter()
            .map(|due| due.youtube_id.as_str())
            .filter(|id| is_id(id))
            .collect();
        match self.youtube.videos(&ids).await {
            Ok(found) => Ok(Some(told(due, found, now))),
            Err(fault) => Err(self.failed(fault, &due, now).await?),
        }
    }

    /// Gives the claims back: the next try takes them again.
    async fn failed(
        &self,
        fault: YouTubeError,
        due: &[Due],
        now: OffsetDateTime,
    ) -> Result<TaskError, sqlx::Error> {
        metrics::counter!("youtube_failures_total").increment(1);
        metadata::postpone(self.db.primary(), due, now).await?;
        Ok(match fault {
            YouTubeError::QuotaExceeded | YouTubeError::Refused(_) => {
                let until = now + QUOTA_REST;
                self.no_quota_until
                    .store(until.unix_timestamp(), Ordering::Relaxed);
                not_now(QUOTA_REST, &fault.to_string())
            }
            YouTubeError::Unavailable(_) | YouTubeError::Malformed => TaskError::transient(fault),
        })
    }
}

fn not_now(after: StdDuration, why: &str) -> TaskError {
    TaskError::NotNow {
        after,
        why: format!("YouTube: {why}"),
    }
}

fn told(due: Vec<Due>, mut found: HashMap<String, Metadata>, at: OffsetDateTime) -> Told {
    let videos = due
        .into_iter()
        .map(|due| {
            let metadata = found.remove(&due.youtube_id).unwrap_or_else(Metadata::gone);
            (due, metadata)
        })
        .collect();
    Told { videos, at }
}

impl Told {
    pub fn count(&self) -> usize {
        self.videos.len()
    }

    /// Whether there may be more to ask for.
    pub fn is_full(&self) -> bool {
        self.count() == BATCH
    }

    /// Writes it down, and tells others, also that nothing has changed: staff see when YouTube was asked. Gives how many videos cannot be
    /// watched.
    pub async fn store(&self, tx: &mut WriteTx) -> Result<usize, sqlx::Error> {
        let written = metadata::store(tx, &self.videos, self.at, self.at + NOT_BY_ITSELF).await?;
        let events: Vec<VideoMetadataFetched> = self
            .videos
            .iter()
            .filter(|(due, _)| written.iter().any(|id| id.0 == due.video_id))
            .map(|(due, metadata)| VideoMetadataFetched {
                video_id: due.video_id.to_string(),
                youtube_id: due.youtube_id.clone(),
                status: metadata.status.as_str().to_owned(),
                title: metadata.title.clone(),
                duration_seconds: metadata.duration_seconds,
                thumbnail_url: metadata.thumbnail_url.clone(),
                fetched_at: Some(timestamp(self.at)),
            })
            .collect();
        outbox::append_all(tx, &events).await?;
        let is_unusable = |(_, metadata): &&(Due, Metadata)| metadata.status != Status::Available;
        Ok(self.videos.iter().filter(is_unusable).count())
    }
}
