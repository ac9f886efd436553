use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{EnrollmentId, UserId};

use crate::domain::status::Status;
use crate::storage::courses::{self, Course};
use crate::storage::enrollments::{self, Enrollment};

#[derive(Debug, thiserror::Error)]
pub enum TakeSeatError {
    #[error("all seats of the course are taken")]
    CourseFull,
    #[error("the enrolment is suspended")]
    Suspended,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for TakeSeatError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<TakeSeatError> for Problem {
    fn from(fault: TakeSeatError) -> Self {
        match fault {
            TakeSeatError::CourseFull => Self::new(&codes::COURSE_FULL),
            TakeSeatError::Suspended => Self::new(&codes::ENROLLMENT_SUSPENDED),
            TakeSeatError::Write(fault) => fault.into(),
        }
    }
}

/// The student's place in the course, and whether it is new.
#[derive(Debug)]
pub struct Seat {
    pub enrollment: Enrollment,
    pub is_new: bool,
}

/// Gives the student a seat, or the one they have. Seats are exact: with a limit, enrolments of one course take turns on its row.
pub async fn take_seat(
    tx: &mut WriteTx,
    course: &Course,
    user: UserId,
    now: OffsetDateTime,
) -> Result<Seat, TakeSeatError> {
    let limit = courses::lock_seats(tx, course.id, course.seat_limit.is_some()).await?;
    let had = match enrollments::insert(tx, EnrollmentId::new(now), user, course.id, now).await? {
        Some(enrollment) => {
            check_limit(tx, course, limit).await?;
            return Ok(Seat {
                enrollment,
                is_new: true,
            });
        }
        None => enrollments::lock_by_user_and_course(tx, user, course.id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?,
    };
    match had.status {
        Status::Active | Status::Completed => Ok(Seat {
            enrollment: had,
            is_new: false,
        }),
        Status::Suspended => Err(TakeSeatError::Suspended),
        Status::Dropped | Status::Expired => {
            let enrollment = enrollments::set_status(tx, had.id, Status::Active, Some(now), now).await?;
            check_limit(tx, course, limit).await?;
            Ok(Seat {
                enrollment,
                is_new: true,
            })
        }
    }
}

/// Called after the seat was taken in this transaction: its own row is counted.
async fn check_limit(tx: &mut WriteTx, course: &Course, limit: Option<i32>) -> Result<(), TakeSeatError> {
    let Some(limit) = limit else { return Ok(()) };
    let taken = enrollments::count_seats_taken(tx, course.id).await?;
    if taken > i64::from(limit) {
        Err(TakeSeatError::CourseFull)
    } else {
        Ok(())
    }
}
