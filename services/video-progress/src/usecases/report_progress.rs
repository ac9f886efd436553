use std::collections::{HashMap, HashSet};
use std::time::Duration;

use access_token::Caller;
use contracts::events::v1::VideoCompleted;
use event_bus::outbox;
use moka::sync::Cache;
use postgres::{Database, WriteError, WriteTx};
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{UserId, VideoId};
use uuid::Uuid;

use super::complete_courses::complete_courses;
use crate::app::VideoProgress;
use crate::domain::watched::Report;
use crate::storage::progress::{self, Change, Progress};
use crate::storage::videos::Video;

/// Students and videos whose last state is kept.
const MOST_KNOWN: u64 = 20_000;
/// The smallest time that PostgreSQL knows.
const TICK: Duration = Duration::from_micros(1);

type Key = (UserId, VideoId);

/// A report on its way into a batch.
#[derive(Debug, Clone)]
pub struct Reported {
    user_id: UserId,
    video: Video,
    report: Report,
    at: OffsetDateTime,
}

impl Reported {
    fn key(&self) -> Key {
        (self.user_id, self.video.id)
    }

    /// The state after it. Each is younger than the one before: by that they are told apart.
    fn applied_to(&self, before: &Progress) -> Progress {
        Progress {
            watched: before
                .watched
                .after(&self.report, self.video.duration_seconds, self.at),
            updated_at: self.at.max(before.updated_at + TICK),
            ..before.clone()
        }
    }
}

/// A student's progress in a video, and the video.
pub struct VideoStatus {
    pub video: Video,
    /// `None`: never opened.
    pub progress: Option<Progress>,
}

/// Takes a report of what was watched, and answers with what is stored after its commit.
pub async fn report_progress(
    app: &VideoProgress,
    caller: &Caller,
    id: VideoId,
    report: Report,
) -> Result<VideoStatus, Problem> {
    let user = caller.user()?;
    if report.segments.iter().any(|(start, end)| start > end) {
        return Err(Problem::invalid_field(
            "segments",
            "segment.reversed",
            "a segment ends before it starts",
        ));
    }
    let video = app.videos.get(id).await?;
    app.roster.learner_course(user, video.course_id).await?;
    let reported = Reported {
        user_id: user.id,
        video: video.clone(),
        report,
        at: app.clock.now(),
    };
    let progress = app.reports.write((user.id, id), reported).await?;
    Ok(VideoStatus {
        video,
        progress: Some(progress),
    })
}

/// What this process wrote last of students and videos. A state that was written by another one meanwhile is found out when it is
/// written over: each write is one of a state of a certain age.
#[derive(Clone)]
pub struct LastWritten(Cache<Key, Progress>);

impl LastWritten {
    pub fn new() -> Self {
        Self(Cache::new(MOST_KNOWN))
    }
}

/// Writes a batch: the reports about what this process wrote last in one statement, the others, and those that complete a video or tell
/// no segments, in a transaction. Reports of one student and video apply in their order.
pub async fn write(
    db: Database,
    last: LastWritten,
    batch: Vec<Reported>,
) -> Result<Vec<Progress>, WriteError> {
    let mut answers: Vec<Option<Progress>> = vec![None; batch.len()];
    let mut known: HashMap<Key, Option<Known>> = HashMap::new();
    for (place, item) in batch.iter().enumerate() {
        let state = known.entry(item.key()).or_insert_with(|| {
            let progress = last.0.get(&item.key())?;
            let after = progress.updated_at;
            Some(Known(Change { after, progress }))
        });
        answers[place] = state.as_mut().and_then(|known| known.take(item));
        if answers[place].is_none() {
            *state = None;
        }
    }
    let changes: Vec<Change> = known.into_values().flatten().map(|known| known.0).collect();
    let stored = store_known(&db, &last, changes).await?;
    let left: Vec<usize> = (0..batch.len())
        .filter(|place| !stored.contains(&batch[*place].key()))
        .collect();
    if !left.is_empty() {
        let items = left.iter().map(|place| batch[*place].clone()).collect();
        for (place, progress) in left.iter().zip(write_locked(db, items).await?) {
            last.0.insert(batch[*place].key(), progress.clone());
            answers[*place] = Some(progress);
        }
    }
    let answers: Option<Vec<Progress>> = answers.into_iter().collect();
    answers.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// A state that this process wrote last, and what has been reported since.
struct Known(Change);

impl Known {
    /// The state after a report; `None` when it completes the video, which others are told of, or goes on from the last position: after a
    /// batch that was stored in part it would be repeated, and go on twice.
    fn take(&mut self, item: &Reported) -> Option<Progress> {
        if item.report.segments.is_empty() {
            return None;
        }
        let next = item.applied_to(&self.0.progress);
        if next.watched.completed_at != self.0.progress.watched.completed_at {
            return None;
        }
        self.0.progress = next.clone();
        Some(next)
    }
}

/// Stores what nobody else wrote meanwhile, and gives its keys. What was refused as a whole is left as well.
async fn store_known(
    db: &Database,
    last: &LastWritten,
    changes: Vec<Change>,
) -> Result<HashSet<Key>, WriteError> {
    if changes.is_empty() {
        return Ok(HashSet::new());
    }
    // Until it is known what became of them.
    for change in &changes {
        last.0.invalidate(&change.progress.key());
    }
    let stored: HashSet<Key> = match progress::store(db.repeatable(), &changes).await {
        Ok(stored) => stored.into_iter().collect(),
        // Nothing of it is stored: a lock that did not come, perhaps.
        Err(sqlx::Error::Database(fault)) => {
            tracing::debug!(
                error = &*fault as &dyn std::error::Error,
                "known progress was not stored"
            );
            HashSet::new()
        }
        Err(fault) => return Err(fault.into()),
    };
    for change in changes {
        let key = change.progress.key();
        if stored.contains(&key) {
            last.0.insert(key, change.progress);
        }
    }
    Ok(stored)
}

/// Writes a batch in one transaction: lock, compute, store.
async fn write_locked(db: Database, batch: Vec<Reported>) -> Result<Vec<Progress>, WriteError> {
    db.write(move |mut tx| async move {
        let mut states: HashMap<Key, Change> = lock_all(&mut tx, &batch).await?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut completed: Vec<&Reported> = Vec::new();
        for item in &batch {
            let state = states.get_mut(&item.key()).ok_or(sqlx::Error::RowNotFound)?;
            let next = item.applied_to(&state.progress);
            if next.watched.completed_at.is_some() && state.progress.watched.completed_at.is_none() {
                completed.push(item);
            }
            state.progress = next.clone();
            answers.push(next);
        }
        let changed: Vec<Change> = states.into_values().collect();
        progress::store(&mut *tx, &changed).await?;
        if !completed.is_empty() {
            tell(&mut tx, &completed).await?;
        }
        tx.commit(answers).await
    })
    .await
}

async fn lock_all(tx: &mut WriteTx, batch: &[Reported]) -> Result<HashMap<Key, Change>, sqlx::Error> {
    let users: Vec<Uuid> = batch.iter().map(|item| item.user_id.0).collect();
    let videos: Vec<Uuid> = batch.iter().map(|item| item.video.id.0).collect();
    let by_key = |rows: Vec<Progress>| -> HashMap<Key, Change> {
        let changes = rows.into_iter().map(|progress| Change {
            after: progress.updated_at,
            progress,
        });
        changes.map(|change| (change.progress.key(), change)).collect()
    };
    let found = by_key(progress::lock(tx, &users, &videos).await?);
    if batch.iter().all(|item| found.contains_key(&item.key())) {
        return Ok(found);
    }
    // Somebody reports without having asked for the player's address.
    let courses: Vec<Uuid> = batch.iter().map(|item| item.video.course_id.0).collect();
    let now = batch
        .iter()
        .map(|item| item.at)
        .min()
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    progress::open(tx, &users, &videos, &courses, now).await?;
    Ok(by_key(progress::lock(tx, &users, &videos).await?))
}

async fn tell(tx: &mut WriteTx, completed: &[&Reported]) -> Result<(), sqlx::Error> {
    let events: Vec<VideoCompleted> = completed
        .iter()
        .map(|item| VideoCompleted {
            video_id: item.video.id.into(),
            user_id: item.user_id.into(),
            course_id: item.video.course_id.into(),
            video_title: item.video.title.clone(),
        })
        .collect();
    outbox::append_all(tx, &events).await?;
    let users: Vec<Uuid> = completed.iter().map(|item| item.user_id.0).collect();
    let courses: Vec<Uuid> = completed.iter().map(|item| item.video.course_id.0).collect();
    let now = completed.iter().map(|item| item.at).max();
    let now = now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    complete_courses(tx, &users, &courses, now).await
}

/// What a student has watched of a video.
pub async fn status(app: &VideoProgress, caller: &Caller, id: VideoId) -> Result<VideoStatus, Problem> {
    let user = caller.user()?;
    let video = app.videos.get(id).await?;
    app.roster.learner_course(user, video.course_id).await?;
    let progress = progress::of_video(app.db.primary(), user.id, id)
        .await
        .map_err(postgres::problem_of)?;
    Ok(VideoStatus { video, progress })
}
