//! One verb a file, or one resource where its verbs are a few lines each; they own their transactions.

pub mod categories;
pub mod change_course;
pub mod create_course;
pub mod events;
pub mod get_course;
pub mod list_courses;
pub mod topics;
pub mod videos;

use access_token::{Caller, User};
use postgres::{WriteError, WriteTx, violated_constraint};
use problem::{Problem, codes};
use typed_id::{CourseId, UserId};

use crate::app::Catalog;
use crate::storage::courses::{self, Course};

/// What can be wrong with a change of the catalogue.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("{}", .0.name)]
    Refused(&'static problem::Code),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(fault: sqlx::Error) -> Self {
        match violated_constraint(&fault) {
            // The same constraint speaks when a course names no category and when a category goes that courses name.
            Some("courses_category_fkey") => Self::Refused(&codes::UNKNOWN_CATEGORY),
            Some("idx_categories_slug") => Self::Refused(&codes::CATEGORY_EXISTS),
            Some("idx_videos_course_youtube") => Self::Refused(&codes::VIDEO_EXISTS),
            Some("videos_topic_id_fkey") => Self::Refused(&codes::UNKNOWN_TOPIC),
            _ => Self::Write(fault.into()),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(fault: ChangeError) -> Self {
        match fault {
            ChangeError::Refused(code) => Self::new(code),
            ChangeError::Write(fault) => fault.into(),
        }
    }
}

/// Whether `user` is staff of the course: its teacher, or one who manages every course.
fn is_staff(user: &User, course: &Course) -> bool {
    user.is_staff_of(UserId(course.teacher_id))
}

/// Whether the caller may see the course at all.
fn may_see(caller: &Caller, course: &Course) -> bool {
    course.is_open() || matches!(caller, Caller::User(user) if is_staff(user, course))
}

/// Refuses who is not staff of the course; who may not even see it learns nothing of it.
fn check_staff(caller: &Caller, course: &Course) -> Result<(), ChangeError> {
    match caller {
        Caller::User(user) if is_staff(user, course) => Ok(()),
        _ if course.is_open() => Err(ChangeError::Refused(&codes::PERMISSION_DENIED)),
        _ => Err(ChangeError::Refused(&codes::NOT_FOUND)),
    }
}

/// The course, for its staff.
async fn staff_course(app: &Catalog, caller: &Caller, id: CourseId) -> Result<Course, Problem> {
    let course = find(app, id).await?;
    check_staff(caller, &course)?;
    Ok(course)
}

/// Whether the caller is staff of the course, and not one who learns in it. Everybody else is refused, and of a course that they cannot
/// see they learn nothing.
async fn is_staff_member(app: &Catalog, caller: &Caller, id: CourseId) -> Result<bool, Problem> {
    let user = caller.user()?;
    let course = find(app, id).await?;
    if is_staff(user, &course) {
        return Ok(true);
    }
    if !course.is_open() {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    if app.learners.may_learn(user.id, id).await? {
        Ok(false)
    } else {
        Err(Problem::new(&codes::NOT_ENROLLED))
    }
}

async fn find(app: &Catalog, id: CourseId) -> Result<Course, Problem> {
    courses::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

/// The course, locked, for its staff. An archived one is not changed any more.
async fn lock_for_staff(tx: &mut WriteTx, caller: &Caller, id: CourseId) -> Result<Course, ChangeError> {
    let course = courses::lock(tx, id)
        .await?
        .ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
    check_staff(caller, &course)?;
    if course.is_active {
        Ok(course)
    } else {
        Err(ChangeError::Refused(&codes::COURSE_ARCHIVED))
    }
}
