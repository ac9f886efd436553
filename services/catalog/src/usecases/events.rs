//! The facts that this service tells the others.

use contracts::events::v1::{CourseChanged, VideoChanged};

use crate::storage::courses::Course;
use crate::storage::videos::Video;

/// `change` is `created`, `updated`, `published`, `unpublished` or `archived`.
pub fn course_changed(course: &Course, change: &str) -> CourseChanged {
    CourseChanged {
        course_id: course.id.to_string(),
        version: course.version,
        change: change.to_owned(),
        title: course.title.clone(),
        teacher_id: course.teacher_id.to_string(),
        category_id: course.category_id.map(|id| id.to_string()).unwrap_or_default(),
        is_published: course.is_published,
        is_archived: !course.is_active,
        seat_limit: course.seat_limit,
        prerequisite_ids: course.prerequisite_ids.iter().map(ToString::to_string).collect(),
    }
}

/// `change` is `created`, `updated` or `deleted`.
pub fn video_changed(video: &Video, change: &str) -> VideoChanged {
    let is_deleted = change == "deleted";
    VideoChanged {
        video_id: video.id.to_string(),
        version: video.version + i32::from(is_deleted),
        change: change.to_owned(),
        course_id: video.course_id.to_string(),
        topic_id: video.topic_id.map(|id| id.to_string()).unwrap_or_default(),
        youtube_id: video.youtube_id.clone(),
        title: video.title.clone(),
        duration_seconds: video.duration_seconds,
        is_deleted,
        order_index: video.order_index,
    }
}
