use contracts::events::v1::CourseVideosCompleted;
use event_bus::outbox;
use postgres::WriteTx;
use time::OffsetDateTime;
use typed_id::CourseId;
use uuid::Uuid;

use crate::storage::progress;

/// Tells of those among these students who have completed every video of their course, each once.
pub async fn complete_courses(
    tx: &mut WriteTx,
    users: &[Uuid],
    courses: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let events: Vec<CourseVideosCompleted> = progress::complete_courses(tx, users, courses, now)
        .await?
        .into_iter()
        .map(|(user, course, title)| CourseVideosCompleted {
            course_id: course.into(),
            user_id: user.into(),
            course_title: title,
        })
        .collect();
    outbox::append_all(tx, &events).await
}

/// A video was taken out of a course: whoever missed that one alone has completed the course now.
pub async fn after_removal(
    tx: &mut WriteTx,
    course: CourseId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let users = progress::who_completed_some(&mut **tx, course).await?;
    let courses = vec![course.0; users.len()];
    complete_courses(tx, &users, &courses, now).await
}
