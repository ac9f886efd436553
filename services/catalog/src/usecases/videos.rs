use access_token::Caller;
use event_bus::outbox;
use postgres::WriteTx;
use problem::{Problem, codes};
use typed_id::{CourseId, TopicId, VideoId};
use uuid::Uuid;

use super::{ChangeError, events, is_staff_member, lock_for_staff};
use crate::app::Catalog;
use crate::storage::videos::{self, NewVideo, Synced, Video};
use crate::storage::{courses, topics};

/// What may change of a video; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub youtube_id: Option<String>,
    pub title: Option<String>,
    /// `Some(None)` takes it out of its topic.
    pub topic_id: Option<Option<Uuid>>,
    pub order_index: Option<i32>,
    pub duration_seconds: Option<i32>,
}

/// One page of a course's videos in order, with their YouTube ids, for who learns in it and for its staff; the token is empty on the last one.
pub async fn list(
    app: &Catalog,
    caller: &Caller,
    course: CourseId,
    size: i64,
    token: Option<&str>,
) -> Result<(Vec<Video>, String), Problem> {
    let is_staff = is_staff_member(app, caller, course).await?;
    let scope = format!("videos:{course}");
    let after: Option<(i32, Uuid)> = app.pages.open(&scope, token)?;
    let mut rows = videos::page(app.db.primary(), course, after, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    let next = app
        .pages
        .cut(&scope, &mut rows, size, |last| (last.order_index, last.id));
    let rows = rows.into_iter().map(|video| seen(video, is_staff)).collect();
    Ok((rows, next))
}

/// A video, for whom [`list`] would show it.
pub async fn get(app: &Catalog, caller: &Caller, id: VideoId) -> Result<Video, Problem> {
    let video = get_state(app, id).await?;
    let is_staff = is_staff_member(app, caller, CourseId(video.course_id)).await?;
    Ok(seen(video, is_staff))
}

/// How it stands with YouTube is its staff's business.
fn seen(video: Video, is_staff: bool) -> Video {
    if is_staff {
        return video;
    }
    Video {
        youtube_status: None,
        youtube_synced_at: None,
        ..video
    }
}

/// The state of a video, for other services.
pub async fn get_state(app: &Catalog, id: VideoId) -> Result<Video, Problem> {
    videos::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

/// The states of a course's videos, for other services.
pub async fn list_states(app: &Catalog, course: CourseId) -> Result<Vec<Video>, Problem> {
    videos::of_course(app.db.primary(), course)
        .await
        .map_err(postgres::problem_of)
}

/// What YouTube tells of a video.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub youtube_id: String,
    pub title: String,
    pub duration_seconds: i32,
    pub synced: Synced,
}

/// Keeps what YouTube tells of videos; of title and length, what staff wrote wins over nothing only. Gives the courses whose content has
/// changed by it.
pub async fn keep_metadata(
    tx: &mut WriteTx,
    told: Vec<(VideoId, Metadata)>,
) -> Result<Vec<CourseId>, sqlx::Error> {
    let ids: Vec<Uuid> = told.iter().map(|(id, _)| id.0).collect();
    // Course, then video: in this order everywhere, or two transactions could wait for each other.
    courses::lock_of_videos(tx, &ids).await?;
    let mut changed = Vec::new();
    for (id, told) in told {
        changed.extend(keep_one(tx, id, told).await?);
    }
    Ok(changed)
}

/// The course of the video is locked.
async fn keep_one(tx: &mut WriteTx, id: VideoId, told: Metadata) -> Result<Option<CourseId>, sqlx::Error> {
    let now = tx.clock().now();
    let Some(video) = videos::keep_synced(tx, id, &told.youtube_id, &told.synced).await? else {
        return Ok(None);
    };
    let (duration_seconds, title) = (told.duration_seconds, told.title);
    let known = (video.duration_seconds, video.title.clone());
    let fresh = Video {
        duration_seconds: if duration_seconds > 0 {
            duration_seconds
        } else {
            video.duration_seconds
        },
        title: if video.title.is_empty() {
            title
        } else {
            video.title.clone()
        },
        ..video
    };
    if known == (fresh.duration_seconds, fresh.title.clone()) {
        return Ok(None);
    }
    let course = CourseId(fresh.course_id);
    let video = videos::update(tx, &fresh, now).await?;
    courses::recount_videos(tx, course, now).await?;
    outbox::append(tx, &events::video_changed(&video, "updated")).await?;
    Ok(Some(course))
}

pub async fn create(app: &Catalog, caller: &Caller, new: NewVideo) -> Result<Video, Problem> {
    let (caller, caching, course) = (caller.clone(), app.caching.clone(), new.course_id);
    let created = app.db.write(move |mut tx| async move {
        lock_for_staff(&mut tx, &caller, course).await?;
        check_topic(&mut tx, course, new.topic_id).await?;
        let video = videos::insert(&mut tx, &new).await?;
        courses::recount_videos(&mut tx, course, new.now).await?;
        outbox::append(&mut tx, &events::video_changed(&video, "created")).await?;
        Ok::<_, ChangeError>(caching.commit(tx, course, video).await?)
    });
    Ok(created.await?)
}

pub async fn update(app: &Catalog, caller: &Caller, id: VideoId, changes: Changes) -> Result<Video, Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let updated = app.db.write(move |mut tx| async move {
        let course = lock_course_of(&mut tx, &caller, id).await?;
        let mut video = videos::by_id(&mut *tx, id)
            .await?
            .ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
        if let Some(topic) = changes.topic_id {
            check_topic(&mut tx, course, topic).await?;
            video.topic_id = topic;
        }
        video.youtube_id = changes.youtube_id.unwrap_or(video.youtube_id);
        video.title = changes.title.unwrap_or(video.title);
        video.order_index = changes.order_index.unwrap_or(video.order_index);
        video.duration_seconds = changes.duration_seconds.unwrap_or(video.duration_seconds);
        let video = videos::update(&mut tx, &video, now).await?;
        courses::recount_videos(&mut tx, course, now).await?;
        outbox::append(&mut tx, &events::video_changed(&video, "updated")).await?;
        Ok::<_, ChangeError>(caching.commit(tx, course, video).await?)
    });
    Ok(updated.await?)
}

pub async fn delete(app: &Catalog, caller: &Caller, id: VideoId) -> Result<(), Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let deleted = app.db.write(move |mut tx| async move {
        let course = lock_course_of(&mut tx, &caller, id).await?;
        let video = videos::by_id(&mut *tx, id)
            .await?
            .ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
        videos::delete(&mut tx, id).await?;
        courses::recount_videos(&mut tx, course, now).await?;
        outbox::append(&mut tx, &events::video_changed(&video, "deleted")).await?;
        Ok::<_, ChangeError>(caching.commit(tx, course, ()).await?)
    });
    Ok(deleted.await?)
}

/// The course of a video, locked, for its staff: changes of a course's content take turns.
async fn lock_course_of(tx: &mut WriteTx, caller: &Caller, id: VideoId) -> Result<CourseId, ChangeError> {
    let video = videos::by_id(&mut **tx, id)
        .await?
        .ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
    let course = CourseId(video.course_id);
    lock_for_staff(tx, caller, course).await?;
    Ok(course)
}

/// A topic has to be one of this course.
async fn check_topic(tx: &mut WriteTx, course: CourseId, topic: Option<Uuid>) -> Result<(), ChangeError> {
    let Some(topic) = topic else { return Ok(()) };
    match topics::course_of(&mut **tx, TopicId(topic)).await? {
        Some(of) if of == course => Ok(()),
        _ => Err(ChangeError::Refused(&codes::UNKNOWN_TOPIC)),
    }
}
