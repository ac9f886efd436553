//! Events of others -> the tables, which keep the newest version of each row: to hear an event again changes nothing.

use contracts::Event;
use contracts::events::v1::{
    CourseChanged, EnrollmentCreated, EnrollmentStatusChanged, UserRegistered, UserUpdated,
};
use event_bus::{Delivery, HandlerError, Subscription};
use postgres::WriteTx;
use typed_id::InvalidId;

use crate::storage::{self, Course, Enrollment};

/// The queue `<service>.courses`.
pub fn courses(service: &str) -> Subscription {
    Subscription::new(service, "courses")
        .on::<CourseChanged, _>(|tx, delivery| Box::pin(course_changed(tx, delivery)))
        .repeatable()
}

/// The queue `<service>.<topic>`, of events of enrolments.
pub fn enrollments(service: &str, topic: &str) -> Subscription {
    Subscription::new(service, topic)
        .on_all::<EnrollmentCreated, _>(|tx, deliveries| Box::pin(enrollments_changed(tx, deliveries)))
        .on_all::<EnrollmentStatusChanged, _>(|tx, deliveries| Box::pin(enrollments_changed(tx, deliveries)))
        .repeatable()
}

/// The queues `<service>.courses`, `<service>.enrollments` and `<service>.users`.
pub fn subscriptions(service: &str) -> [Subscription; 3] {
    [
        courses(service),
        enrollments(service, "enrollments"),
        Subscription::new(service, "users")
            .on::<UserRegistered, _>(|tx, delivery| {
                Box::pin(async move {
                    let UserRegistered {
                        user_id,
                        version,
                        full_name,
                        ..
                    } = delivery.event;
                    keep_user(tx, &user_id, version, full_name).await
                })
            })
            .on::<UserUpdated, _>(|tx, delivery| {
                Box::pin(async move {
                    let UserUpdated {
                        user_id,
                        version,
                        full_name,
                        ..
                    } = delivery.event;
                    keep_user(tx, &user_id, version, full_name).await
                })
            })
            .repeatable(),
    ]
}

fn poison(fault: InvalidId) -> HandlerError {
    HandlerError::Poison(fault.into())
}

async fn course_changed(tx: &mut WriteTx, delivery: Delivery<CourseChanged>) -> Result<(), HandlerError> {
    let course = Course::try_from(delivery.event).map_err(poison)?;
    Ok(storage::keep_course(&mut **tx, &course).await?)
}

async fn enrollments_changed<E>(tx: &mut WriteTx, deliveries: Vec<Delivery<E>>) -> Result<(), HandlerError>
where
    E: Event,
    Enrollment: TryFrom<E, Error = InvalidId>,
{
    let told = deliveries
        .into_iter()
        .map(|delivery| Enrollment::try_from(delivery.event));
    let told: Vec<Enrollment> = told.collect::<Result<_, _>>().map_err(poison)?;
    Ok(storage::keep_enrollments(&mut **tx, &told).await?)
}

async fn keep_user(tx: &mut WriteTx, id: &str, version: i32, name: String) -> Result<(), HandlerError> {
    let id = id.parse().map_err(poison)?;
    Ok(storage::keep_users(&mut **tx, &[(id, version, name)]).await?)
}
