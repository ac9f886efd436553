use access_token::Caller;
use event_bus::outbox;
use postgres::WriteError;
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{EnrollmentId, SectionId};

use super::complete_enrollments::complete_again;
use super::take_seats::offers;
use super::{events, is_staff};
use crate::app::Enrollment as App;
use crate::domain::section::{Refusal, choose};
use crate::domain::status::Status;
use crate::projections;
use crate::storage::enrollments::{self, Listed};
use crate::storage::{course_completions, courses, enrollment_ends, sections, users};

#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error("the enrolment cannot become {to} from {from}")]
    IllegalTransition { from: Status, to: Status },
    #[error("all seats of the course are taken")]
    CourseFull,
    #[error(transparent)]
    Section(#[from] Refusal),
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
            ChangeError::Section(refusal) => refusal.into(),
            ChangeError::Write(fault) => fault.into(),
        }
    }
}

/// What to change of an enrolment; `None` leaves it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    pub status: Option<Status>,
    /// Its end becomes the enrolment's, unless one is given.
    pub section: Option<SectionId>,
    pub expires_at: Option<Option<OffsetDateTime>>,
}

/// Moves an enrolment to another state, section or end, as staff of its course.
pub async fn change_status(
    app: &App,
    caller: &Caller,
    id: EnrollmentId,
    change: Change,
) -> Result<Listed, Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let found = enrollments::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    let found = found.ok_or_else(not_found)?;
    let user = caller.user()?;
    let course = projections::course(app, found.course_id, |course| is_staff(user, course))
        .await?
        .filter(|course| is_staff(user, course))
        .ok_or_else(not_found)?;
    let (now, actor) = (app.clock.now(), user.id);
    let (title, limited) = (course.title.clone(), course.seat_limit.is_some());
    let changed = app.db.write(move |mut tx| async move {
        // Course, sections, enrolment: in this order everywhere, or two transactions could wait for each other.
        let limit = courses::lock_seats(&mut tx, found.course_id, limited).await?;
        let sections = sections::lock_of_courses(&mut tx, &[found.course_id.0]).await?;
        let had = enrollments::lock_by_user_and_course(&mut tx, found.user_id, found.course_id).await?;
        let had = had.ok_or(sqlx::Error::RowNotFound)?;
        let to = change.status.unwrap_or(had.status);
        if !had.status.may_become(to) {
            return Err(ChangeError::IllegalTransition { from: had.status, to });
        }
        let mut moved = had.clone();
        if had.status != to {
            moved = enrollments::set_status(&mut tx, had.id, to, None, now).await?;
        }
        let takes_seat = to.takes_seat() && !had.status.takes_seat();
        if let (Some(limit), true) = (limit, takes_seat) {
            let taken = enrollments::count_seats_taken(&mut tx, moved.course_id).await?;
            if taken > i64::from(limit) {
                return Err(ChangeError::CourseFull);
            }
        }
        let section = change.section.filter(|section| had.section_id != Some(*section));
        if let Some(offer) = choose(&offers(&sections), section, true, now)? {
            (moved.section_id, moved.expires_at) = (Some(offer.id), offer.ends_at);
        } else if let (true, Some(own)) = (takes_seat, had.section_id) {
            // Back in the same section: its seats were counted without this one.
            let section = sections.iter().find(|section| section.id == own);
            let is_full = |section: &sections::Section| {
                section
                    .seat_limit
                    .is_some_and(|limit| section.seats_taken >= i64::from(limit))
            };
            if section.is_some_and(is_full) {
                return Err(Refusal::Full.into());
            }
        }
        moved.expires_at = change.expires_at.unwrap_or(moved.expires_at);
        if (moved.section_id, moved.expires_at) != (had.section_id, had.expires_at) {
            enrollment_ends::place(&mut tx, moved.id, moved.section_id, moved.expires_at).await?;
        }
        if had.status != to {
            let event = events::status_changed(&moved, &title, had.status, Some(actor));
            outbox::append(&mut tx, &event).await?;
        }
        match (had.status, to) {
            // What staff takes back, the same videos do not give again.
            (Status::Completed, Status::Active) => {
                course_completions::take_back(&mut tx, moved.user_id, moved.course_id).await?;
            }
            (from, Status::Active) if from != to => {
                let completed = complete_again(&mut tx, &[moved.id], &title, now).await?;
                moved = completed.into_iter().next().unwrap_or(moved);
            }
            _ => {}
        }
        Ok(tx.commit(moved).await?)
    });
    let enrollment = changed.await?;
    let user = users::by_id(app.db.primary(), enrollment.user_id)
        .await
        .map_err(postgres::problem_of)?;
    let section = super::section_of(app, &enrollment).await?;
    Ok(Listed {
        enrollment,
        course_title: Some(course.title),
        full_name: user.map(|u| u.full_name),
        section,
    })
}
