use access_token::Caller;
use problem::{Problem, codes};
use typed_id::{CourseId, EnrollmentId, UserId};

use super::is_staff;
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::enrollments::{self, Enrollment, Listed};
use crate::storage::users;

/// One enrolment, for its student and the staff of its course; nobody else learns that it exists.
pub async fn get_enrollment(app: &App, caller: &Caller, id: EnrollmentId) -> Result<Listed, Problem> {
    let user = caller.user()?;
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let found = enrollments::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    let enrollment = found.ok_or_else(not_found)?;
    let course = projections::course(app, enrollment.course_id, |course| {
        enrollment.user_id == user.id || is_staff(user, course)
    })
    .await?;
    let staff = course.as_ref().is_some_and(|course| is_staff(user, course));
    if enrollment.user_id != user.id && !staff {
        return Err(not_found());
    }
    let full_name = if staff {
        let student = users::by_id(app.db.primary(), enrollment.user_id)
            .await
            .map_err(postgres::problem_of)?;
        student.map(|s| s.full_name)
    } else {
        None
    };
    Ok(Listed {
        section: super::section_of(app, &enrollment).await?,
        enrollment,
        course_title: course.map(|c| c.title),
        full_name,
    })
}

/// A student's enrolment in a course, for other services.
pub async fn get_state(app: &App, user: UserId, course: CourseId) -> Result<Enrollment, Problem> {
    enrollments::by_user_and_course(app.db.primary(), user, course)
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}
