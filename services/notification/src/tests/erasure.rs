//! What comes after an erasure, and what came while it was done.

use std::sync::Arc;

use contracts::Event;
use contracts::events::v1::{
    EnrollmentCreated, UserEmailChangeRequested, UserPasswordResetRequested, UserRegistered,
    UserRegistrationRepeated, UserSecurityChanged, UserUpdated, UserVerificationRequested,
};
use event_bus::{Delivery, HandlerError};
use typed_id::{EventId, UserId};

use super::school::School;
use crate::consumers::{accounts, enrollments, users};
use crate::domain::message::Recipient;
use crate::jobs::remove_old;

fn delivery<E: Event>(school: &School, event: E) -> Delivery<E> {
    Delivery {
        id: EventId::new(school.clock.now()),
        subject: event.subject().to_owned(),
        event,
        occurred_at: school.clock.now(),
    }
}

/// The consumers hear what may still be on its way when a person is erased.
async fn hear_of(school: &School, user: &Recipient) {
    let app = Arc::clone(&school.app);
    let who = || {
        (
            String::from(user.user_id),
            user.address.clone(),
            user.name.clone(),
        )
    };
    let (user_id, email, full_name) = who();
    let registered = UserRegistered {
        user_id,
        email,
        full_name,
        version: 1,
        ..UserRegistered::default()
    };
    let (user_id, email, full_name) = who();
    let updated = UserUpdated {
        user_id,
        email,
        full_name,
        is_active: true,
        version: 2,
        ..UserUpdated::default()
    };
    let (user_id, email, full_name) = who();
    let verification = UserVerificationRequested {
        user_id,
        email,
        full_name,
        ..UserVerificationRequested::default()
    };
    let (user_id, email, full_name) = who();
    let reset = UserPasswordResetRequested {
        user_id,
        email,
        full_name,
        ..UserPasswordResetRequested::default()
    };
    let (user_id, email, full_name) = who();
    let email_change = UserEmailChangeRequested {
        user_id,
        email,
        full_name,
        ..UserEmailChangeRequested::default()
    };
    let (user_id, email, full_name) = who();
    let repeated = UserRegistrationRepeated {
        user_id,
        email,
        full_name,
        ..UserRegistrationRepeated::default()
    };
    let (user_id, email, full_name) = who();
    let security = UserSecurityChanged {
        user_id,
        email,
        full_name,
        change: "password".into(),
        ..UserSecurityChanged::default()
    };
    let (registered, updated) = (delivery(school, registered), delivery(school, updated));
    let (verification, reset) = (delivery(school, verification), delivery(school, reset));
    let (email_change, repeated) = (delivery(school, email_change), delivery(school, repeated));
    let security = delivery(school, security);
    let heard = school.app.db.write(move |mut tx| async move {
        users::registered(&app, &mut tx, registered).await?;
        users::updated(&mut tx, updated).await?;
        accounts::verification_requested(&app, &mut tx, verification).await?;
        accounts::password_reset_requested(&app, &mut tx, reset).await?;
        accounts::email_change_requested(&app, &mut tx, email_change).await?;
        accounts::registration_repeated(&app, &mut tx, repeated).await?;
        accounts::security_changed(&app, &mut tx, security).await?;
        Ok::<_, HandlerError>(tx.commit(()).await?)
    });
    heard.await.unwrap();
}

/// Mails, entries of the inbox, and accounts with an address.
async fn kept(school: &School, user: UserId) -> [i64; 3] {
    let count = async |rows: String| school.count(&format!("SELECT count(*) FROM {rows}")).await;
    [
        count(format!("notification.mails WHERE user_id = '{user}'")).await,
        count(format!("notification.notifications WHERE user_id = '{user}'")).await,
        count(format!(
            "notification.users WHERE id = '{user}' AND (email <> '' OR full_name <> '' OR is_active)"
        ))
        .await,
    ]
}

#[tokio::test]
async fn an_erased_persons_address_does_not_come_back_with_events_that_are_late() {
    let school = School::open().await;
    let ada = school.user().await;
    hear_of(&school, &ada).await;
    // The welcome and five mails of the account.
    assert_eq!(kept(&school, ada.user_id).await, [6, 1, 1]);
    school.erase(ada.user_id).await;
    assert_eq!(kept(&school, ada.user_id).await, [0, 0, 0]);
    hear_of(&school, &ada).await;
    assert_eq!(kept(&school, ada.user_id).await, [0, 0, 0]);
    // Nor where nothing had been heard of them before.
    let berk = Recipient {
        user_id: UserId::new(school.clock.now()),
        ..ada
    };
    school.erase(berk.user_id).await;
    hear_of(&school, &berk).await;
    assert_eq!(kept(&school, berk.user_id).await, [0, 0, 0]);
    assert_eq!(
        school
            .count("SELECT count(*) FROM notification.mail_budgets")
            .await,
        0
    );
}

#[tokio::test]
async fn others_of_a_batch_are_told_as_ever() {
    let school = School::open().await;
    let (ada, berk) = (school.user().await, school.user().await);
    school.erase(ada.user_id).await;
    // As when what is known of a person came from auth meanwhile.
    school
        .execute(format!(
            "UPDATE notification.users SET email = 'ada@school.test', is_active = true WHERE id = '{}'",
            ada.user_id
        ))
        .await;
    let enrolled = [&ada, &berk].map(|to| {
        let event = EnrollmentCreated {
            enrollment_id: to.user_id.into(),
            user_id: to.user_id.into(),
            course_id: to.user_id.into(),
            course_title: "Algebra".into(),
            ..EnrollmentCreated::default()
        };
        delivery(&school, event)
    });
    let app = Arc::clone(&school.app);
    let heard = school.app.db.write(move |mut tx| async move {
        enrollments::created(&app, &mut tx, enrolled.into()).await?;
        Ok::<_, HandlerError>(tx.commit(()).await?)
    });
    heard.await.unwrap();
    assert_eq!(kept(&school, ada.user_id).await, [0, 0, 1]);
    assert_eq!(kept(&school, berk.user_id).await, [1, 1, 1]);
}

#[tokio::test]
async fn what_came_while_a_person_was_erased_goes_with_the_next_cleaning() {
    let school = School::open().await;
    let (ada, berk) = (school.user().await, school.user().await);
    for user in [&ada, &berk] {
        school.enroll(user).await;
    }
    // The events were being handled when the erasure looked for their effects.
    school
        .execute(format!(
            "INSERT INTO notification.erased_users VALUES ('{}')",
            ada.user_id
        ))
        .await;
    assert_eq!(kept(&school, ada.user_id).await, [1, 1, 1]);
    assert_eq!(remove_old(&school.app).await.unwrap().of_erased, 3);
    assert_eq!(kept(&school, ada.user_id).await, [0, 0, 0]);
    assert_eq!(kept(&school, berk.user_id).await, [1, 1, 1]);
    assert_eq!(remove_old(&school.app).await.unwrap().of_erased, 0);
}
