use access_token::Caller;
use event_bus::outbox;
use postgres::WriteError;
use problem::{Problem, codes};
use typed_id::EnrollmentId;

use super::{events, is_staff};
use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::projections;
use crate::storage::enrollments::{self, Listed};
use crate::storage::{courses, users};

#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error("the enrolment cannot become {to} from {from}")]
    IllegalTransition { from: Status, to: Status },
    #[error("all seats of the course are taken")]
    CourseFull,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<ChangeError> for Problem {
    fn from(fault: ChangeError) -> Self {
        match fault {
            ChangeError::IllegalTransition { from, to } => Self::new(&codes::ILLEGAL_TRANSITION)
                .with_detail(format!("An enrolment that is {from} cannot become {to}.")),
            ChangeError::CourseFull => Self::new(&codes::COURSE_FULL),
            ChangeError::Write(fault) => fault.into(),
        }
    }
}

/// Moves an enrolment to another state, as staff of its course.
pub async fn change_status(
    app: &App,
    caller: &Caller,
    id: EnrollmentId,
    to: Status,
) -> Result<Listed, Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let found = enrollments::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    let found = found.ok_or_else(not_found)?;
    let course = projections::course(app, found.course_id, |_| true)
        .await?
        .ok_or_else(not_found)?;
    if !is_staff(caller.user()?, &course) {
        return Err(not_found());
    }
    let now = app.clock.now();
    let (title, limited) = (course.title.clone(), course.seat_limit.is_some());
    let changed = app.db.write(move |mut tx| async move {
        // The course before the enrolment, as everywhere, or two transactions could wait for each other.
        let limit = courses::lock_seats(&mut tx, found.course_id, limited).await?;
        let had = enrollments::lock_by_user_and_course(&mut tx, found.user_id, found.course_id).await?;
        let had = had.ok_or(sqlx::Error::RowNotFound)?;
        if had.status == to {
            return Ok(tx.rollback(had).await?);
        }
        if !had.status.may_become(to) {
            return Err(ChangeError::IllegalTransition { from: had.status, to });
        }
        let moved = enrollments::set_status(&mut tx, had.id, to, None, now).await?;
        if let (Some(limit), true) = (limit, to.takes_seat() && !had.status.takes_seat()) {
            let taken = enrollments::count_seats_taken(&mut tx, moved.course_id).await?;
            if taken > i64::from(limit) {
                return Err(ChangeError::CourseFull);
            }
        }
        outbox::append(&mut tx, &events::status_changed(&moved, &title, had.status)).await?;
        Ok(tx.commit(moved).await?)
    });
    let enrollment = changed.await?;
    let user = users::by_id(app.db.primary(), enrollment.user_id)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Listed {
        enrollment,
        course_title: Some(course.title),
        full_name: user.map(|u| u.full_name),
    })
}
