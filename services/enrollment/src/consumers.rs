//! Events of others -> local projections and completed enrolments, through the inbox.

use contracts::events::v1::{CourseChanged, CourseVideosCompleted, UserRegistered, UserUpdated};
use event_bus::{Delivery, HandlerError, Subscription};
use postgres::WriteTx;

use crate::storage::courses::{self, Course};
use crate::storage::users::{self, User};
use crate::usecases::complete_enrollments::{Finished, complete_enrollments};

/// `enrollment.courses`: seats, prerequisites and teacher of each course.
pub fn courses() -> Subscription {
    Subscription::new("enrollment", "courses")
        .on::<CourseChanged, _>(|tx, delivery| Box::pin(course_changed(tx, delivery)))
}

/// `enrollment.users`: name and verification of each user.
pub fn users() -> Subscription {
    Subscription::new("enrollment", "users")
        .on::<UserRegistered, _>(|tx, delivery| Box::pin(user_changed(tx, delivery)))
        .on::<UserUpdated, _>(|tx, delivery| Box::pin(user_changed(tx, delivery)))
}

/// `enrollment.progress`: who has completed every video of a course.
pub fn progress() -> Subscription {
    Subscription::new("enrollment", "progress")
        .on_all::<CourseVideosCompleted, _>(|tx, deliveries| Box::pin(courses_completed(tx, deliveries)))
}

pub async fn courses_completed(
    tx: &mut WriteTx,
    deliveries: Vec<Delivery<CourseVideosCompleted>>,
) -> Result<(), HandlerError> {
    let finished: Vec<Finished> = deliveries
        .into_iter()
        .map(Finished::try_from)
        .collect::<Result<_, _>>()
        .map_err(|fault| HandlerError::Poison(fault.into()))?;
    Ok(complete_enrollments(tx, &finished).await?)
}

async fn course_changed(tx: &mut WriteTx, delivery: Delivery<CourseChanged>) -> Result<(), HandlerError> {
    let course = Course::try_from(delivery.event).map_err(|fault| HandlerError::Poison(fault.into()))?;
    Ok(courses::upsert(&mut **tx, &course).await?)
}

async fn user_changed<E>(tx: &mut WriteTx, delivery: Delivery<E>) -> Result<(), HandlerError>
where
    User: TryFrom<E, Error = typed_id::InvalidId>,
{
    let user = User::try_from(delivery.event).map_err(|fault| HandlerError::Poison(fault.into()))?;
    Ok(users::upsert(&mut **tx, &[user]).await?)
}
