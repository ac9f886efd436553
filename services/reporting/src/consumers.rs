//! Events of others -> the activity log, through the inbox: each once, however often it is delivered.

use contracts::events::v1::{
    CourseChanged, CourseVideosCompleted, EnrollmentCreated, EnrollmentStatusChanged, ExamAttemptGraded,
    ExamAttemptSubmitted, UserRegistered, UserUpdated, VideoChanged, VideoCompleted,
};
use event_bus::{Delivery, HandlerError, Subscription};
use futures::future::BoxFuture;
use postgres::WriteTx;

use crate::domain::fact::Tells;
use crate::storage::videos;
use crate::usecases::record_activity::record;

/// `reporting.activity`: everything that happens.
pub fn activity() -> Subscription {
    Subscription::new("reporting", "activity")
        .on::<UserRegistered, _>(kept)
        .on::<UserUpdated, _>(kept)
        .on::<CourseChanged, _>(kept)
        .on::<VideoChanged, _>(|tx, delivery| Box::pin(video_changed(tx, delivery)))
        .on::<EnrollmentCreated, _>(kept)
        .on::<EnrollmentStatusChanged, _>(kept)
        .on::<VideoCompleted, _>(kept)
        .on::<CourseVideosCompleted, _>(kept)
        .on::<ExamAttemptSubmitted, _>(kept)
        .on::<ExamAttemptGraded, _>(kept)
}

fn kept<E: Tells>(tx: &mut WriteTx, delivery: Delivery<E>) -> BoxFuture<'_, Result<(), HandlerError>> {
    Box::pin(async move { record(tx, &delivery).await })
}

async fn video_changed(tx: &mut WriteTx, delivery: Delivery<VideoChanged>) -> Result<(), HandlerError> {
    record(tx, &delivery).await?;
    let event = delivery.event;
    let poison = |fault: typed_id::InvalidId| HandlerError::Poison(fault.into());
    let (video, course) = (
        event.video_id.parse().map_err(poison)?,
        event.course_id.parse().map_err(poison)?,
    );
    Ok(videos::keep(&mut **tx, video, event.version, course, event.is_deleted).await?)
}
