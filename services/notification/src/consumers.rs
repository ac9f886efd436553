//! Events of others -> mails and inbox entries, through the inbox table: each effect once, however often an event is delivered.

pub mod accounts;
pub mod enrollments;
pub mod learning;
pub mod reports;
pub mod users;
mod webhooks;

use std::sync::Arc;

use contracts::events::v1::{
    CourseVideosCompleted, EnrollmentCreated, EnrollmentStatusChanged, ExamAttemptGraded,
    UserEmailChangeRequested, UserPasswordResetRequested, UserRegistered, UserRegistrationRepeated,
    UserSecurityChanged, UserUpdated, UserVerificationRequested, WeeklySummaryMade,
};
use event_bus::Subscription;

use crate::app::Notification;
pub use webhooks::webhooks;

/// `notification.users`: the projection of users, and the welcome.
pub fn users(app: &Arc<Notification>) -> Subscription {
    let registered = Arc::clone(app);
    Subscription::new("notification", "users")
        .on::<UserRegistered, _>(move |tx, delivery| {
            let app = Arc::clone(&registered);
            Box::pin(async move { users::registered(&app, tx, delivery).await })
        })
        .on::<UserUpdated, _>(|tx, delivery| Box::pin(users::updated(tx, delivery)))
}

/// `notification.accounts`: mails that somebody waits for.
pub fn accounts(app: &Arc<Notification>) -> Subscription {
    let (verification, reset, repeated) = (Arc::clone(app), Arc::clone(app), Arc::clone(app));
    let (security, email_change) = (Arc::clone(app), Arc::clone(app));
    Subscription::new("notification", "accounts")
        .on::<UserVerificationRequested, _>(move |tx, delivery| {
            let app = Arc::clone(&verification);
            Box::pin(async move { accounts::verification_requested(&app, tx, delivery).await })
        })
        .on::<UserPasswordResetRequested, _>(move |tx, delivery| {
            let app = Arc::clone(&reset);
            Box::pin(async move { accounts::password_reset_requested(&app, tx, delivery).await })
        })
        .on::<UserEmailChangeRequested, _>(move |tx, delivery| {
            let app = Arc::clone(&email_change);
            Box::pin(async move { accounts::email_change_requested(&app, tx, delivery).await })
        })
        .on::<UserRegistrationRepeated, _>(move |tx, delivery| {
            let app = Arc::clone(&repeated);
            Box::pin(async move { accounts::registration_repeated(&app, tx, delivery).await })
        })
        .on::<UserSecurityChanged, _>(move |tx, delivery| {
            let app = Arc::clone(&security);
            Box::pin(async move { accounts::security_changed(&app, tx, delivery).await })
        })
}

/// `notification.enrollments`: what happens to a student's enrolments.
pub fn enrollments(app: &Arc<Notification>) -> Subscription {
    let (created, changed) = (Arc::clone(app), Arc::clone(app));
    Subscription::new("notification", "enrollments")
        .on_all::<EnrollmentCreated, _>(move |tx, deliveries| {
            let app = Arc::clone(&created);
            Box::pin(async move { enrollments::created(&app, tx, deliveries).await })
        })
        .on_all::<EnrollmentStatusChanged, _>(move |tx, deliveries| {
            let app = Arc::clone(&changed);
            Box::pin(async move { enrollments::status_changed(&app, tx, deliveries).await })
        })
}

/// `notification.learning`: what somebody has achieved.
pub fn learning(app: &Arc<Notification>) -> Subscription {
    let (completed, graded) = (Arc::clone(app), Arc::clone(app));
    Subscription::new("notification", "learning")
        .on::<CourseVideosCompleted, _>(move |tx, delivery| {
            let app = Arc::clone(&completed);
            Box::pin(async move { learning::course_completed(&app, tx, delivery).await })
        })
        .on::<ExamAttemptGraded, _>(move |tx, delivery| {
            let app = Arc::clone(&graded);
            Box::pin(async move { learning::attempt_graded(&app, tx, delivery).await })
        })
}

/// `notification.reports`: what somebody is told of a time that is over.
pub fn reports(app: &Arc<Notification>) -> Subscription {
    let made = Arc::clone(app);
    Subscription::new("notification", "reports").on::<WeeklySummaryMade, _>(move |tx, delivery| {
        let app = Arc::clone(&made);
        Box::pin(async move { reports::weekly_summary_made(&app, tx, delivery).await })
    })
}
