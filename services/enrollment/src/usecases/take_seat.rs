use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{EnrollmentId, SectionId, UserId};

use crate::domain::section::{Offer, Refusal, choose};
use crate::domain::status::Status;
use crate::storage::courses::{self, Course};
use crate::storage::enrollments::{self, Enrollment};
use crate::storage::sections::Section;
use crate::storage::{enrollment_ends, sections};

#[derive(Debug, thiserror::Error)]
pub enum TakeSeatError {
    #[error("all seats of the course are taken")]
    CourseFull,
    #[error("the enrolment is suspended")]
    Suspended,
    #[error(transparent)]
    Section(#[from] Refusal),
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
            TakeSeatError::Section(refusal) => refusal.into(),
            TakeSeatError::Write(fault) => fault.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(match refusal {
            Refusal::Unknown => &codes::UNKNOWN_SECTION,
            Refusal::Closed => &codes::SECTION_CLOSED,
            Refusal::Full => &codes::SECTION_FULL,
            Refusal::Required => &codes::SECTION_REQUIRED,
        })
    }
}

/// Where in a course somebody wants to be enrolled, and until when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    pub section: Option<SectionId>,
    /// Of this student alone; the section's end when `None`.
    pub expires_at: Option<OffsetDateTime>,
    pub is_staff: bool,
}

pub fn offers(sections: &[Section]) -> Vec<Offer> {
    let all = sections.iter().map(|section| Offer {
        id: section.id,
        ends_at: section.ends_at,
        seats_left: section
            .seat_limit
            .map(|limit| i64::from(limit) - section.seats_taken),
    });
    all.collect()
}

/// The student's place in the course, and whether it is new.
#[derive(Debug)]
pub struct Seat {
    pub enrollment: Enrollment,
    pub is_new: bool,
}

/// Gives the student a seat, or the one they have. Seats are exact: with a limit, enrolments of one course take turns on its row, and
/// those of a course with sections on theirs. Course, sections, enrolment: in this order everywhere, or two could wait for each other.
pub async fn take_seat(
    tx: &mut WriteTx,
    course: &Course,
    user: UserId,
    wish: Wish,
    now: OffsetDateTime,
) -> Result<Seat, TakeSeatError> {
    let limit = courses::lock_seats(tx, course.id, course.seat_limit.is_some()).await?;
    let sections = sections::lock_of_course(tx, course.id).await?;
    let new = enrollments::insert(tx, EnrollmentId::new(now), user, course.id, now).await?;
    let enrollment = match new {
        Some(enrollment) => enrollment,
        None => {
            let had = enrollments::lock_by_user_and_course(tx, user, course.id).await?;
            let had = had.ok_or(sqlx::Error::RowNotFound)?;
            match had.status {
                Status::Active | Status::Completed => {
                    return Ok(Seat {
                        enrollment: had,
                        is_new: false,
                    });
                }
                Status::Suspended => return Err(TakeSeatError::Suspended),
                Status::Dropped | Status::Expired => {
                    enrollments::set_status(tx, had.id, Status::Active, Some(now), now).await?
                }
            }
        }
    };
    check_limit(tx, course, limit).await?;
    let offer = choose(&offers(&sections), wish.section, wish.is_staff, now)?;
    let section_id = offer.map(|offer| offer.id);
    let expires_at = wish.expires_at.or_else(|| offer.and_then(|offer| offer.ends_at));
    if (section_id, expires_at) != (enrollment.section_id, enrollment.expires_at) {
        enrollment_ends::place(tx, enrollment.id, section_id, expires_at).await?;
    }
    let enrollment = Enrollment {
        section_id,
        expires_at,
        ..enrollment
    };
    Ok(Seat {
        enrollment,
        is_new: true,
    })
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
