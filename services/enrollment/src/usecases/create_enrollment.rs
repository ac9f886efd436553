use access_token::Caller;
use event_bus::outbox::Cause;
use problem::{Problem, codes};
use typed_id::{CourseId, UserId};

use super::staff_course_in_use;
use super::take_seats::{Application, Enrolled, Wish};
use crate::app::Enrollment as App;
use crate::projections;

/// Enrols a student as staff of the course. Seats count; prerequisites and verification do not.
pub async fn create_enrollment(
    app: &App,
    caller: &Caller,
    course: CourseId,
    student: UserId,
    wish: Wish,
) -> Result<Enrolled, Problem> {
    let course = staff_course_in_use(app, caller, course).await?;
    match projections::user(app, student, |user| user.is_active).await? {
        Some(user) if user.is_active => {}
        _ => return Err(Problem::new(&codes::UNKNOWN_USER)),
    }
    let application = Application {
        user_id: student,
        course_id: course.id,
        wish,
        at: app.clock.now(),
        actor: caller.user()?.id,
        cause: Cause::current(),
    };
    Ok(app.seats.write(course.id, application).await??)
}
