use std::collections::HashMap;

use access_token::Caller;
use postgres::problem_of;
use problem::Problem;
use time::OffsetDateTime;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use crate::app::VideoProgress;
use crate::domain::course_percent::{Part, course_percent};
use crate::domain::watched::{Segments, percent};
use crate::storage::progress::{self, CourseVideo, StudentVideo};

/// How far a student is in a course.
#[derive(Debug, Clone, Default)]
pub struct CourseStatus {
    pub course_id: Uuid,
    pub title: String,
    pub percent: f64,
    pub completed: usize,
    pub videos: Vec<CourseVideo>,
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

impl CourseVideo {
    pub fn watched_seconds(&self) -> i32 {
        Segments::from_bounds(self.segments.as_deref().unwrap_or_default()).seconds()
    }

    /// The length that counts.
    pub fn length(&self) -> i32 {
        length(self.duration_seconds, self.reported_seconds.unwrap_or_default())
    }

    pub fn percent(&self) -> f64 {
        percent(self.watched_seconds(), self.length()).max(self.best_percent.unwrap_or_default())
    }

    fn part(&self) -> Part {
        Part {
            duration_seconds: self.duration_seconds,
            percent: self.percent(),
            completed: self.completed_at.is_some(),
        }
    }
}

fn length(catalogue: i32, reported: i32) -> i32 {
    if catalogue > 0 { catalogue } else { reported }
}

fn summary(course_id: Uuid, title: String, videos: Vec<CourseVideo>) -> CourseStatus {
    let parts: Vec<Part> = videos.iter().map(CourseVideo::part).collect();
    CourseStatus {
        course_id,
        title,
        percent: course_percent(&parts),
        completed: parts.iter().filter(|part| part.completed).count(),
        videos,
    }
}

/// The caller's progress in a course that they learn in.
pub async fn of_course(app: &VideoProgress, caller: &Caller, id: CourseId) -> Result<CourseStatus, Problem> {
    let user = caller.user()?;
    let course = app.roster.learner_course(user, id).await?;
    let videos = videos_of(app, user.id, id).await?;
    Ok(summary(id.0, course.title, videos))
}

/// A course's present videos, with what a student has watched of each.
async fn videos_of(app: &VideoProgress, user: UserId, course: CourseId) -> Result<Vec<CourseVideo>, Problem> {
    let only = [course.0];
    let list = || progress::of_courses(app.db.primary(), user, &only);
    let videos = list().await.map_err(problem_of)?;
    if videos.is_empty() && app.videos.learn_course(course).await {
        return list().await.map_err(problem_of);
    }
    Ok(videos)
}

/// The caller's progress in all their courses. Two queries a page.
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
    let next_page_token = app.pages.cut(&scope, &mut courses, size, |(id, _)| *id);
    let ids: Vec<Uuid> = courses.iter().map(|(id, _)| *id).collect();
    let videos = progress::of_courses(app.db.primary(), user, &ids)
        .await
        .map_err(problem_of)?;
    let mut by_course: HashMap<Uuid, Vec<CourseVideo>> = HashMap::new();
    for video in videos {
        by_course.entry(video.course_id).or_default().push(video);
    }
    let items = courses
        .into_iter()
        .map(|(id, title)| summary(id, title, by_course.remove(&id).unwrap_or_default()));
    Ok(Page {
        items: items.collect(),
        next_page_token,
    })
}

/// The progress of a course's students, for its staff. Three queries a page.
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
    // Nobody has this id: what is left is the course's videos alone.
    let videos = videos_of(app, UserId(Uuid::nil()), course).await?;
    let watched = progress::of_students(app.db.primary(), course, &ids)
        .await
        .map_err(problem_of)?;
    let mut by_student: HashMap<Uuid, HashMap<Uuid, StudentVideo>> = HashMap::new();
    for row in watched {
        by_student
            .entry(row.user_id)
            .or_default()
            .insert(row.video_id, row);
    }
    let items = students
        .into_iter()
        .map(|(id, name)| student(id, name, &videos, &by_student.remove(&id).unwrap_or_default()));
    Ok(Page {
        items: items.collect(),
        next_page_token,
    })
}

fn student(
    user_id: Uuid,
    full_name: String,
    videos: &[CourseVideo],
    watched: &HashMap<Uuid, StudentVideo>,
) -> StudentStatus {
    let parts: Vec<Part> = videos
        .iter()
        .map(|video| {
            let own = watched.get(&video.video_id);
            let seconds = own.map_or(0, |own| Segments::from_bounds(&own.segments).seconds());
            let length = length(video.duration_seconds, own.map_or(0, |own| own.reported_seconds));
            Part {
                duration_seconds: video.duration_seconds,
                percent: percent(seconds, length).max(own.map_or(0.0, |own| own.best_percent)),
                completed: own.is_some_and(|own| own.completed_at.is_some()),
            }
        })
        .collect();
    StudentStatus {
        user_id,
        full_name,
        percent: course_percent(&parts),
        completed: parts.iter().filter(|part| part.completed).count(),
        video_count: videos.len(),
        last_watched_at: watched.values().map(|own| own.updated_at).max(),
    }
}
