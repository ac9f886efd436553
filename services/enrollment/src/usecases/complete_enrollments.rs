use contracts::events::v1::CourseVideosCompleted;
use event_bus::outbox;
use postgres::WriteTx;
use typed_id::{CourseId, EnrollmentId, InvalidId, UserId};
use uuid::Uuid;

use super::events;
use crate::domain::status::Status;
use crate::storage::enrollments;

/// Somebody has completed every video of a course.
#[derive(Debug, Clone)]
pub struct Finished {
    user_id: UserId,
    course_id: CourseId,
    course_title: String,
}

impl TryFrom<CourseVideosCompleted> for Finished {
    type Error = InvalidId;

    fn try_from(event: CourseVideosCompleted) -> Result<Self, InvalidId> {
        Ok(Self {
            user_id: event.user_id.parse()?,
            course_id: event.course_id.parse()?,
            course_title: event.course_title,
        })
    }
}

/// Completes their enrolments and tells the world. Only active ones: what staff or time has decided stays.
pub async fn complete_enrollments(tx: &mut WriteTx, finished: &[Finished]) -> Result<(), sqlx::Error> {
    let now = tx.clock().now();
    let users: Vec<Uuid> = finished.iter().map(|one| one.user_id.0).collect();
    let courses: Vec<Uuid> = finished.iter().map(|one| one.course_id.0).collect();
    let moves: Vec<(EnrollmentId, Status)> = enrollments::lock(tx, &users, &courses)
        .await?
        .into_iter()
        .filter(|had| had.status == Status::Active)
        .map(|had| (had.id, Status::Completed))
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    let moved = enrollments::set_statuses(tx, &moves, false, now).await?;
    let told: Vec<_> = moved
        .iter()
        .map(|enrollment| {
            let title = finished
                .iter()
                .find(|one| one.course_id == enrollment.course_id)
                .map_or("", |one| one.course_title.as_str());
            events::status_changed(enrollment, title, Status::Active, None)
        })
        .collect();
    outbox::append_all(tx, &told).await
}
