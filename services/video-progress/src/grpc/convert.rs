//! Between the contract's messages and the use cases' types.

pub use contracts::fields::id;
use contracts::timestamp;
use contracts::video_progress::v1 as proto;

use crate::domain::watched::Report;
use crate::usecases::course_progress::{CourseStatus, Page, StudentStatus, WatchedVideo};
use crate::usecases::report_progress::VideoStatus;

pub fn report(req: proto::ReportProgressRequest) -> Report {
    Report {
        segments: req
            .segments
            .into_iter()
            .map(|segment| (segment.start_seconds, segment.end_seconds))
            .collect(),
        watched_seconds: req.watched_seconds,
        length: req.total_seconds,
        position: req.position_seconds,
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl From<VideoStatus> for proto::VideoProgress {
    fn from(status: VideoStatus) -> Self {
        let VideoStatus { video, progress } = status;
        let mut message = Self {
            video_id: video.id.into(),
            duration_seconds: video.duration_seconds,
            course_id: video.course_id.into(),
            ..Self::default()
        };
        if let Some(progress) = progress {
            let watched = &progress.watched;
            message.watched_seconds = watched.segments.seconds();
            message.watched_percent = watched.percent(video.duration_seconds);
            message.position_seconds = watched.position;
            message.completed = watched.completed_at.is_some();
            message.duration_seconds = watched.length(video.duration_seconds);
            message.updated_at = Some(timestamp(progress.updated_at));
        }
        message
    }
}

impl From<WatchedVideo> for proto::VideoProgress {
    fn from(video: WatchedVideo) -> Self {
        let message = Self {
            watched_seconds: video.watched_seconds(),
            watched_percent: video.percent(),
            duration_seconds: video.length(),
            completed: video.is_completed(),
            video_id: video.video_id.to_string(),
            course_id: video.course_id.to_string(),
            ..Self::default()
        };
        match video.seen {
            Some(seen) => Self {
                position_seconds: seen.position_seconds,
                updated_at: Some(timestamp(seen.updated_at)),
                ..message
            },
            None => message,
        }
    }
}

pub fn course(status: CourseStatus, with_videos: bool) -> proto::CourseProgress {
    let video_count = count(status.videos.len());
    let videos = if with_videos { status.videos } else { Vec::new() };
    proto::CourseProgress {
        course_id: status.course_id.to_string(),
        course_title: status.title,
        percent: status.percent,
        videos_completed: count(status.completed),
        video_count,
        videos: videos.into_iter().map(Into::into).collect(),
    }
}

pub fn course_list(page: Page<CourseStatus>) -> proto::ListMyProgressResponse {
    proto::ListMyProgressResponse {
        courses: page
            .items
            .into_iter()
            .map(|status| course(status, false))
            .collect(),
        next_page_token: page.next_page_token,
    }
}

pub fn student_list(page: Page<StudentStatus>) -> proto::ListStudentProgressResponse {
    let students = page.items.into_iter().map(|student| proto::StudentProgress {
        user_id: student.user_id.to_string(),
        full_name: student.full_name,
        percent: student.percent,
        videos_completed: count(student.completed),
        video_count: count(student.video_count),
        last_watched_at: student.last_watched_at.map(timestamp),
    });
    proto::ListStudentProgressResponse {
        students: students.collect(),
        next_page_token: page.next_page_token,
    }
}
