use std::collections::HashMap;

use contracts::events::v1::{CourseVideosCompleted, VideoCompleted};
use event_bus::outbox;
use postgres::WriteTx;
use time::OffsetDateTime;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use crate::domain::watched::seconds_to_complete;
use crate::storage::progress;
use crate::storage::videos::Video;

/// Tells of those among these students who have completed every video of their course, each once.
pub async fn complete_courses(
    tx: &mut WriteTx,
    users: &[Uuid],
    courses: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let events: Vec<CourseVideosCompleted> = progress::complete_courses(tx, users, courses, now)
        .await?
        .into_iter()
        .map(|(user, course, title)| CourseVideosCompleted {
            course_id: course.into(),
            user_id: user.into(),
            course_title: title,
        })
        .collect();
    outbox::append_all(tx, &events).await
}

/// Videos have other lengths, and courses have lost some: who has watched enough of a video has completed it, and who has completed all
/// that is left has completed the course. Rows are locked for all at once, in the order of those who store reports.
pub async fn after_changes(
    tx: &mut WriteTx,
    measured: &[&Video],
    shorter: &[CourseId],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (mut users, mut courses) = (Vec::new(), Vec::new());
    if !measured.is_empty() {
        let videos: HashMap<Uuid, &Video> = measured.iter().map(|video| (video.id.0, *video)).collect();
        let needed: Vec<(&Video, i32)> = measured
            .iter()
            .map(|video| (*video, seconds_to_complete(video.duration_seconds)))
            .collect();
        let completed = progress::complete_videos(tx, &needed, now).await?;
        let told: Vec<VideoCompleted> = completed
            .iter()
            .filter_map(|(user, video)| {
                let video = videos.get(video)?;
                users.push(*user);
                courses.push(video.course_id.0);
                Some(VideoCompleted {
                    video_id: video.id.into(),
                    user_id: UserId(*user).into(),
                    course_id: video.course_id.into(),
                    video_title: video.title.clone(),
                })
            })
            .collect();
        outbox::append_all(tx, &told).await?;
    }
    if !shorter.is_empty() {
        for (user, course) in progress::who_completed_some(&mut **tx, shorter).await? {
            users.push(user);
            courses.push(course);
        }
    }
    if users.is_empty() {
        return Ok(());
    }
    complete_courses(tx, &users, &courses, now).await
}
