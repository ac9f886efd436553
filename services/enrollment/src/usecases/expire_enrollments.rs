use event_bus::outbox;
use problem::Problem;
use typed_id::EnrollmentId;

use super::events;
use super::sections::SectionError;
use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::storage::enrollment_ends::lock_due;
use crate::storage::enrollments;

const BATCH: i64 = 200;

/// Ends enrolments whose time is over, a batch at a time; gives how many.
pub async fn expire_enrollments(app: &App) -> Result<usize, Problem> {
    let now = app.clock.now();
    let ended = app.db.write(move |mut tx| async move {
        let due = lock_due(&mut tx, now, BATCH).await?;
        if due.is_empty() {
            return Ok::<_, SectionError>(tx.rollback(0).await?);
        }
        let moves: Vec<(EnrollmentId, Status)> = due.iter().map(|one| (one.id, Status::Expired)).collect();
        let moved = enrollments::set_statuses(&mut tx, &moves, false, now).await?;
        let told = moved.iter().filter_map(|enrollment| {
            let before = due.iter().find(|one| one.id == enrollment.id)?;
            let status = before.status.parse().unwrap_or(Status::Active);
            Some(events::status_changed(
                enrollment,
                &before.course_title,
                status,
                None,
            ))
        });
        let told: Vec<_> = told.collect();
        outbox::append_all(&mut tx, &told).await?;
        Ok(tx.commit(moved.len()).await?)
    });
    Ok(ended.await?)
}
