use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use access_token::Caller;
use postgres::problem_of;
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use crate::app::VideoProgress;
use crate::domain::course_percent::{Part, course_percent};
use crate::domain::watched::{Segments, percent};
use crate::storage::progress::{self, Seen};
use crate::storage::videos::CourseVideo;

/// How far a student is in a course.
#[derive(Debug, Clone, Default)]
pub struct CourseStatus {
    pub course_id: Uuid,
    pub title: String,
    pub percent: f64,
    pub completed: usize,
    pub videos: Vec<WatchedVideo>,
}

/// A video of a course, and what one student has watched of it.
#[derive(Debug, Clone)]
pub struct WatchedVideo {
    pub course_id: Uuid,
    pub video_id: Uuid,
    pub duration_seconds: i32,
    pub seen: Option<Seen>,
}

/// How far one of a course's students is.
pub struct StudentStatus {
    pub user_id: Uuid,
    pub full_name: String,
    pub percent: f64,
    pub completed: usize,
    pub video_count: usize,
    pub last_watched_at: Option<OffsetDateTime>,
}

pub struct Page<T> {
    pub items: Vec<T>,
    pub next_page_token: String,
}

impl WatchedVideo {
    pub fn watched_seconds(&self) -> i32 {
        let bounds = self.seen.as_ref().map(|seen| seen.segments.as_slice());
        Segments::from_bounds(bounds.unwrap_or_default()).seconds()
    }

    /// The length that counts.
    pub fn length(&self) -> i32 {
        match &self.seen {
            Some(seen) if self.duration_seconds <= 0 => seen.reported_seconds,
            _ => self.duration_seconds,
        }
    }

    pub fn percent(&self) -> f64 {
        let best = self.seen.as_ref().map_or(0.0, |seen| seen.best_percent);
        percent(self.watched_seconds(), self.length()).max(best)
    }

    pub fn is_completed(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.completed_at.is_some())
    }

    fn part(&self) -> Part {
        Part {
            duration_seconds: self.duration_seconds,
            percent: self.percent(),
            completed: self.is_completed(),
        }
    }
}

/// What a student has seen, laid on the videos that the course has now.
fn course_status(course_id: Uuid, title: String, videos: &[CourseVideo], seen: Vec<Seen>) -> CourseStatus {
    let mut seen: HashMap<Uuid, Seen> = seen.into_iter().map(|seen| (seen.video_id, seen)).collect();
    let videos: Vec<WatchedVideo> = videos
        .iter()
        .map(|video| WatchedVideo {
            course_id,
            video_id: video.video_id,
            duration_seconds: video.duration_seconds,
            seen: seen.remove(&video.video_id),
        })
        .collect();
    let parts: Vec<Part> = videos.iter().map(WatchedVideo::part).collect();
    CourseStatus {
        course_id,
        title,
        percent: course_percent(&parts),
        completed: parts.iter().filter(|part| part.completed).count(),
        videos,
    }
}

/// A course's present videos; the catalogue is asked where none is known.
async fn videos_of(app: &VideoProgress, course: CourseId) -> Result<Arc<[CourseVideo]>, Problem> {
    let list = || async {
        let mut found = app.videos.of_courses(iter::once(course.0)).await?;
        Ok::<_, Problem>(found.remove(&course.0).unwrap_or_default())
    };
    let videos = list().await?;
    if videos.is_empty() && app.videos.learn_course(course).await {
        return list().await;
    }
    Ok(videos)
}

/// The caller's progress in a course that they learn in.
pub async fn of_course(app: &VideoProgress, caller: &Caller, id: CourseId) -> Result<CourseStatus, Problem> {
    let user = caller.user()?;
    let course = app.roster.learner_course(user, id).await?;
    let videos = videos_of(app, id).await?;
    let seen = progress::of_students(app.db.primary(), id, &[user.id.0])
        .await
        .map_err(problem_of)?;
    Ok(course_status(id.0, course.title, &videos, seen))
}

/// The caller's progress in all their courses. Two queries a page at most.
pub async fn of_caller(
    app: &VideoProgress,
    caller: &Caller,
    size: i64,
    token: Option<&str>,
) -> Result<Page<CourseStatus>, Problem> {
    let user = caller.user()?.id;
    let scope = format!("progress:mine:{user}");
    let after: Option<Uuid> = app.pages.open(&scope, token)?;
    let mut courses = progress::courses_of_user(app.db.primary(), user, after, size + 1)
        .await
        .map_err(problem_of)?;
    let next_page_token = app
        .pages
        .cut(&scope, &mut courses, size, |course| course.course_id);
    let videos = app
        .videos
        .of_courses(courses.iter().map(|course| course.course_id))
        .await?;
    let items = courses.into_iter().map(|course| {
        let videos = videos.get(&course.course_id).map_or(&[][..], |videos| videos);
        course_status(course.course_id, course.title, videos, course.seen)
    });
    Ok(Page {
        items: items.collect(),
        next_page_token,
    })
}

/// The progress of a course's students, for its staff. Three queries a page at most.
pub async fn of_students(
    app: &VideoProgress,
    caller: &Caller,
    course: CourseId,
    size: i64,
    token: Option<&str>,
) -> Result<Page<StudentStatus>, Problem> {
    app.roster.staff_course(caller, course).await?;
    let scope = format!("progress:students:{course}");
    let after: Option<Uuid> = app.pages.open(&scope, token)?;
    let list = || progress::students_of_course(app.db.primary(), course, after, size + 1);
    let mut students = list().await.map_err(problem_of)?;
    let nameless: Vec<UserId> = students
        .iter()
        .filter(|(_, name)| name.is_empty())
        .map(|(id, _)| UserId(*id))
        .collect();
    if !nameless.is_empty() && app.roster.learn_names(&nameless).await {
        students = list().await.map_err(problem_of)?;
    }
    let next_page_token = app.pages.cut(&scope, &mut students, size, |(id, _)| *id);
    let ids: Vec<Uuid> = students.iter().map(|(id, _)| *id).collect();
    let videos = videos_of(app, course).await?;
    let all = progress::of_students(app.db.primary(), course, &ids)
        .await
        .map_err(problem_of)?;
    let mut by_student: HashMap<Uuid, Vec<Seen>> = HashMap::new();
    for seen in all {
        by_student.entry(seen.user_id).or_default().push(seen);
    }
    let items = students.into_iter().map(|(user_id, full_name)| {
        let seen = by_student.remove(&user_id).unwrap_or_default();
        let status = course_status(course.0, String::new(), &videos, seen);
        let seen = status.videos.iter().filter_map(|video| video.seen.as_ref());
        StudentStatus {
            user_id,
            full_name,
            percent: status.percent,
            completed: status.completed,
            video_count: status.videos.len(),
            last_watched_at: seen.map(|seen| seen.updated_at).max(),
        }
    });
    Ok(Page {
        items: items.collect(),
        next_page_token,
    })
}
