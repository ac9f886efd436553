use access_token::Caller;
use event_bus::outbox::Cause;
use problem::{Problem, codes};
use typed_id::{CourseId, SectionId};

use super::take_seats::{Application, Enrolled, Refused, Wish};
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::courses::Course;

/// Enrols the caller in a published course, and where it has several sections in the one that they choose. What is known here decides, unless it would refuse: then the owner of what is missing is
/// asked once, and the judgement is made again.
pub async fn enroll(
    app: &App,
    caller: &Caller,
    course: CourseId,
    section: Option<SectionId>,
) -> Result<Enrolled, Problem> {
    let student = caller.user()?;
    let application = Application {
        user_id: student.id,
        course_id: course,
        wish: Wish {
            section,
            ..Wish::default()
        },
        at: app.clock.now(),
        actor: student.id,
        cause: Cause::current(),
    };
    let (mut asked_catalog, mut asked_auth) = (false, false);
    loop {
        let refused = match app.seats.write(course, application.clone()).await? {
            Ok(enrolled) => return Ok(enrolled),
            Err(refused) => refused,
        };
        match refused {
            Refused::NotOpen if !asked_catalog => {
                asked_catalog = true;
                projections::course(app, course, Course::is_open)
                    .await?
                    .filter(Course::is_open)
                    .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
            }
            Refused::NotVerified if !asked_auth => {
                asked_auth = true;
                if !projections::is_verified(app, student).await? {
                    return Err(refused.into());
                }
            }
            refused => return Err(refused.into()),
        }
    }
}
