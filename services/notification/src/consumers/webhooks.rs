use std::sync::Arc;

use contracts::Event;
use contracts::events::v1::{
    CourseChanged, CourseVideosCompleted, EnrollmentCreated, EnrollmentStatusChanged, ExamAttemptGraded,
    ExamAttemptSubmitted, UserErased, UserRegistered, UserUpdated, VideoCompleted,
};
use event_bus::Subscription;

use crate::app::Notification;
use crate::usecases::webhooks::queue::queue;

/// `notification.webhooks`: what institutions may be told of (`domain::webhook::EVENT_TYPES`). A message has its event's id, and a webhook
/// each message once.
pub fn webhooks(app: &Arc<Notification>) -> Subscription {
    let subscription = Subscription::new("notification", "webhooks").repeatable();
    let subscription = told::<UserRegistered>(subscription, app);
    let subscription = told::<UserUpdated>(subscription, app);
    let subscription = told::<UserErased>(subscription, app);
    let subscription = told::<CourseChanged>(subscription, app);
    let subscription = told::<EnrollmentCreated>(subscription, app);
    let subscription = told::<EnrollmentStatusChanged>(subscription, app);
    let subscription = told::<VideoCompleted>(subscription, app);
    let subscription = told::<CourseVideosCompleted>(subscription, app);
    let subscription = told::<ExamAttemptSubmitted>(subscription, app);
    told::<ExamAttemptGraded>(subscription, app)
}

fn told<E: Event>(subscription: Subscription, app: &Arc<Notification>) -> Subscription {
    let app = Arc::clone(app);
    subscription.on_all::<E, _>(move |tx, deliveries| {
        let app = Arc::clone(&app);
        Box::pin(async move { queue(&app, tx, deliveries).await })
    })
}
