use access_token::Caller;
use event_bus::outbox;
use postgres::Finished;
use problem::{Problem, codes};
use typed_id::{CourseId, SectionId, UserId};

use super::take_seat::{Seat, TakeSeatError, Wish, take_seat};
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::courses::Course;
use crate::storage::enrollments;
use crate::usecases::events;

/// A student's enrolment after [`enroll`].
#[derive(Debug)]
pub struct Enrolled {
    pub enrollment: enrollments::Enrollment,
    pub course_title: String,
    /// Name and term.
    pub section: Option<(String, String)>,
    /// False when the student was enrolled already.
    pub is_new: bool,
}

/// Enrols the caller in a published course, and where it has several sections in the one that they choose.
pub async fn enroll(
    app: &App,
    caller: &Caller,
    course: CourseId,
    section: Option<SectionId>,
) -> Result<Enrolled, Problem> {
    let student = caller.user()?;
    let course = projections::course(app, course, Course::is_open)
        .await?
        .filter(Course::is_open)
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    if !projections::is_verified(app, student).await? {
        return Err(Problem::new(&codes::EMAIL_NOT_VERIFIED));
    }
    if !course.prerequisite_ids.is_empty() {
        let completed = enrollments::count_completed(app.db.primary(), student.id, &course.prerequisite_ids)
            .await
            .map_err(postgres::problem_of)?;
        if completed < course.prerequisite_ids.len() as i64 {
            return Err(Problem::new(&codes::PREREQUISITE_MISSING));
        }
    }
    let wish = Wish {
        section,
        ..Wish::default()
    };
    write(app, course, student.id, wish).await
}

/// Takes the seat and tells the world, in one transaction.
pub(super) async fn write(
    app: &App,
    course: Course,
    student: UserId,
    wish: Wish,
) -> Result<Enrolled, Problem> {
    let now = app.clock.now();
    let enrolled = app
        .db
        .write(move |mut tx| async move {
            let Seat { enrollment, is_new } = take_seat(&mut tx, &course, student, wish, now).await?;
            if is_new {
                outbox::append(&mut tx, &events::created(&enrollment, &course.title)).await?;
            }
            let enrolled = Enrolled {
                enrollment,
                course_title: course.title,
                section: None,
                is_new,
            };
            Ok::<Finished<Enrolled>, TakeSeatError>(tx.commit(enrolled).await?)
        })
        .await?;
    Ok(Enrolled {
        section: super::section_of(app, &enrolled.enrollment).await?,
        ..enrolled
    })
}
