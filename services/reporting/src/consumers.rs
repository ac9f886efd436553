//! Events of others -> the activity log, under their ids: each once, however often it is delivered.

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
        .on_all::<UserRegistered, _>(kept)
        .on_all::<UserUpdated, _>(kept)
        .on_all::<CourseChanged, _>(kept)
        .on::<VideoChanged, _>(|tx, delivery| Box::pin(video_changed(tx, delivery)))
        .on_all::<EnrollmentCreated, _>(kept)
        .on_all::<EnrollmentStatusChanged, _>(kept)
        .on_all::<VideoCompleted, _>(kept)
        .on_all::<CourseVideosCompleted, _>(kept)
        .on_all::<ExamAttemptSubmitted, _>(kept)
        .on_all::<ExamAttemptGraded, _>(kept)
        .repeatable()
}

fn kept<E: Tells>(tx: &mut WriteTx, deliveries: Vec<Delivery<E>>) -> BoxFuture<'_, Result<(), HandlerError>> {
    Box::pin(async move { record(tx, &deliveries).await })
}

async fn video_changed(tx: &mut WriteTx, delivery: Delivery<VideoChanged>) -> Result<(), HandlerError> {
    record(tx, std::slice::from_ref(&delivery)).await?;
    let event = delivery.event;
    let poison = |fault: typed_id::InvalidId| HandlerError::Poison(fault.into());
    let (video, course) = (
        event.video_id.parse().map_err(poison)?,
        event.course_id.parse().map_err(poison)?,
    );
    Ok(videos::keep(&mut **tx, video, event.version, course, event.is_deleted).await?)
}
