use access_token::Caller;
use event_bus::outbox;
use postgres::WriteError;
use problem::{Problem, codes};
use typed_id::CourseId;

use super::events;
use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::storage::{courses, enrollments};

#[derive(Debug, thiserror::Error)]
enum DropError {
    #[error("there is no enrolment to drop")]
    NotEnrolled,
    #[error("an enrolment that is {0} cannot be dropped")]
    NotDroppable(Status),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for DropError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<DropError> for Problem {
    fn from(fault: DropError) -> Self {
        match fault {
            DropError::NotEnrolled => Self::new(&codes::NOT_FOUND),
            DropError::NotDroppable(_) => Self::new(&codes::ILLEGAL_TRANSITION),
            DropError::Write(fault) => fault.into(),
        }
    }
}

/// Drops the caller's enrolment. Dropping again changes nothing.
pub async fn drop_course(app: &App, caller: &Caller, course: CourseId) -> Result<(), Problem> {
    let student = caller.user()?.id;
    let now = app.clock.now();
    let dropped = app.db.write(move |mut tx| async move {
        let had = enrollments::lock_by_user_and_course(&mut tx, student, course).await?;
        let had = had.ok_or(DropError::NotEnrolled)?;
        match had.status {
            Status::Dropped => return Ok(tx.rollback(()).await?),
            // Suspended by staff: the student cannot slip out and enrol anew.
            status @ (Status::Suspended | Status::Completed | Status::Expired) => {
                return Err(DropError::NotDroppable(status));
            }
            Status::Active => {}
        }
        let now_dropped = enrollments::set_status(&mut tx, had.id, Status::Dropped, None, now).await?;
        let title = courses::by_id(&mut *tx, course)
            .await?
            .map(|c| c.title)
            .unwrap_or_default();
        let event = events::status_changed(&now_dropped, &title, had.status, Some(student));
        outbox::append(&mut tx, &event).await?;
        Ok(tx.commit(()).await?)
    });
    Ok(dropped.await?)
}
