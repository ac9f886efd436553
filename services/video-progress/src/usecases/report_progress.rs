use std::collections::HashMap;

use access_token::Caller;
use contracts::events::v1::VideoCompleted;
use event_bus::outbox;
use postgres::{Database, WriteError, WriteTx};
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{UserId, VideoId};
use uuid::Uuid;

use super::complete_courses::complete_courses;
use crate::app::VideoProgress;
use crate::domain::watched::Report;
use crate::storage::progress::{self, Progress};
use crate::storage::videos::Video;

/// A report on its way into a batch.
#[derive(Debug, Clone)]
pub struct Reported {
    user_id: UserId,
    video: Video,
    report: Report,
    at: OffsetDateTime,
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

/// Writes a batch in one transaction: lock, compute, store. Reports of one student and video apply in their order.
pub async fn write(db: Database, batch: Vec<Reported>) -> Result<Vec<Progress>, WriteError> {
    db.write(move |mut tx| async move {
        let mut states = lock_all(&mut tx, &batch).await?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut completed: Vec<&Reported> = Vec::new();
        for item in &batch {
            let state = states
                .get_mut(&(item.user_id, item.video.id))
                .ok_or(sqlx::Error::RowNotFound)?;
            let next = state
                .watched
                .after(&item.report, item.video.duration_seconds, item.at);
            if next.completed_at.is_some() && state.watched.completed_at.is_none() {
                completed.push(item);
            }
            state.watched = next;
            state.updated_at = state.updated_at.max(item.at);
            answers.push(state.clone());
        }
        let changed: Vec<Progress> = states.into_values().collect();
        progress::store(&mut tx, &changed).await?;
        if !completed.is_empty() {
            tell(&mut tx, &completed).await?;
        }
        tx.commit(answers).await
    })
    .await
}

type Key = (UserId, VideoId);

async fn lock_all(tx: &mut WriteTx, batch: &[Reported]) -> Result<HashMap<Key, Progress>, sqlx::Error> {
    let users: Vec<Uuid> = batch.iter().map(|item| item.user_id.0).collect();
    let videos: Vec<Uuid> = batch.iter().map(|item| item.video.id.0).collect();
    let by_key = |rows: Vec<Progress>| -> HashMap<Key, Progress> {
        rows.into_iter().map(|p| ((p.user_id, p.video_id), p)).collect()
    };
    let found = by_key(progress::lock(tx, &users, &videos).await?);
    if batch
        .iter()
        .all(|item| found.contains_key(&(item.user_id, item.video.id)))
    {
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
