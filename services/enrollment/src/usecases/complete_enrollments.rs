use contracts::events::v1::CourseVideosCompleted;
use event_bus::{Delivery, outbox};
use postgres::WriteTx;
use time::OffsetDateTime;
use typed_id::{CourseId, EnrollmentId, InvalidId, UserId};
use uuid::Uuid;

use super::events;
use crate::domain::status::Status;
use crate::storage::course_completions;
use crate::storage::enrollments::{self, Enrollment};

/// Somebody has completed every video of a course.
#[derive(Debug, Clone)]
pub struct Finished {
    user_id: UserId,
    course_id: CourseId,
    course_title: String,
    at: OffsetDateTime,
}

impl TryFrom<Delivery<CourseVideosCompleted>> for Finished {
    type Error = InvalidId;

    fn try_from(delivery: Delivery<CourseVideosCompleted>) -> Result<Self, InvalidId> {
        let event = delivery.event;
        Ok(Self {
            user_id: event.user_id.parse()?,
            course_id: event.course_id.parse()?,
            course_title: event.course_title,
            at: delivery.occurred_at,
        })
    }
}

/// Keeps who has completed all videos, completes their enrolments and tells the world. Only active ones: what staff or time has decided
/// stays, and the completion counts when they are active again ([`complete_again`]).
pub async fn complete_enrollments(tx: &mut WriteTx, finished: &[Finished]) -> Result<(), sqlx::Error> {
    let now = tx.clock().now();
    let users: Vec<Uuid> = finished.iter().map(|one| one.user_id.0).collect();
    let courses: Vec<Uuid> = finished.iter().map(|one| one.course_id.0).collect();
    let times: Vec<OffsetDateTime> = finished.iter().map(|one| one.at).collect();
    course_completions::keep(tx, &users, &courses, &times).await?;
    // Who becomes active meanwhile is waited for here, or waits and finds the completion.
    let active: Vec<EnrollmentId> = enrollments::lock(tx, &users, &courses)
        .await?
        .into_iter()
        .filter(|had| had.status == Status::Active)
        .map(|had| had.id)
        .collect();
    if active.is_empty() {
        return Ok(());
    }
    let completed = enrollments::complete(tx, &active, now).await?;
    let told: Vec<_> = completed
        .iter()
        .map(|enrollment| {
            let title = finished
                .iter()
                .find(|one| one.course_id == enrollment.course_id)
                .map_or("", |one| one.course_title.as_str());
            events::completed(enrollment, title)
        })
        .collect();
    outbox::append_all(tx, &told).await
}

/// Completes those of a course's enrolments whose students have completed all videos while they were not active; they are locked and
/// active again. Gives what became of them.
pub async fn complete_again(
    tx: &mut WriteTx,
    ids: &[EnrollmentId],
    course_title: &str,
    now: OffsetDateTime,
) -> Result<Vec<Enrollment>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let completed = enrollments::complete(tx, ids, now).await?;
    if !completed.is_empty() {
        let told: Vec<_> = completed
            .iter()
            .map(|enrollment| events::completed(enrollment, course_title))
            .collect();
        outbox::append_all(tx, &told).await?;
    }
    Ok(completed)
}
