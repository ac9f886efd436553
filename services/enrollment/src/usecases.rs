//! One verb a file; each owns its transaction and has its error enum beside it.

pub mod change_status;
pub mod complete_enrollments;
pub mod create_enrollment;
pub mod drop_course;
pub mod enroll;
pub mod events;
pub mod expire_enrollments;
pub mod get_enrollment;
pub mod import_enrollments;
pub mod list_mine;
pub mod list_roster;
pub mod sections;
pub mod take_seats;

use access_token::{Caller, User};
use problem::{Problem, codes};
use typed_id::CourseId;

use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::courses::Course;
use crate::storage::enrollments::Enrollment;
use crate::storage::sections as sections_of;

/// Whether `user` is staff of the course: its teacher, or one who manages every course.
fn is_staff(user: &User, course: &Course) -> bool {
    user.is_staff_of(course.teacher_id)
}

/// Name and term of the section that an enrolment is in.
async fn section_of(app: &App, enrollment: &Enrollment) -> Result<Option<(String, String)>, Problem> {
    let Some(id) = enrollment.section_id else {
        return Ok(None);
    };
    let section = sections_of::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    Ok(section.map(|section| (section.name, section.term)))
}

/// The course, when the caller is its staff. Who may not even see it learns nothing of it. What is known may be a moment old, so that
/// nobody is refused, or told that there is nothing, before the catalogue was asked.
async fn staff_course(app: &App, caller: &Caller, id: CourseId) -> Result<Course, Problem> {
    let user = caller.user()?;
    match projections::course(app, id, |course| is_staff(user, course)).await? {
        Some(course) if is_staff(user, &course) => Ok(course),
        Some(course) if course.is_open() => Err(Problem::new(&codes::PERMISSION_DENIED)),
        _ => Err(Problem::new(&codes::NOT_FOUND)),
    }
}

/// As [`staff_course`], and one that is not archived.
async fn staff_course_in_use(app: &App, caller: &Caller, id: CourseId) -> Result<Course, Problem> {
    let course = staff_course(app, caller, id).await?;
    if course.is_archived {
        return Err(Problem::new(&codes::COURSE_ARCHIVED));
    }
    Ok(course)
}
