use std::sync::Arc;
use std::time::Duration;

use contracts::events::v1::{UserPasswordResetRequested, UserSecurityChanged};
use event_bus::{Delivery, HandlerError};
use time::macros::datetime;
use typed_id::EventId;

use super::school::{CAP, School};
use crate::consumers::accounts;
use crate::domain::message::{MailKind, NotificationKind};
use crate::domain::preference::{Category, Channel, Frequency, Preferences};
use crate::domain::schedule::QuietHours;
use crate::usecases::preferences::{choices, get, put};

#[tokio::test]
async fn each_channel_follows_its_own_choice() {
    let school = School::open().await;
    for (in_app, email, entries, mails, items) in [
        (Frequency::Now, Frequency::Now, 1, 1, 0),
        (Frequency::Off, Frequency::Now, 0, 1, 0),
        (Frequency::Now, Frequency::Off, 1, 0, 0),
        (Frequency::Now, Frequency::Daily, 1, 0, 1),
        (Frequency::Off, Frequency::Weekly, 0, 0, 1),
        (Frequency::Off, Frequency::Off, 0, 0, 0),
    ] {
        let ada = school.user().await;
        let cells = [
            (Category::Courses, Channel::InApp, in_app),
            (Category::Courses, Channel::Email, email),
        ];
        school.prefer(ada.user_id, &cells).await;
        school.enroll(&ada).await;
        let count = async |table: &str| {
            let sql = format!(
                "SELECT count(*) FROM notification.{table} WHERE user_id = '{}'",
                ada.user_id
            );
            school.count(&sql).await
        };
        assert_eq!(
            (
                count("notifications").await,
                count("mails").await,
                count("digest_items").await
            ),
            (entries, mails, items),
            "{in_app:?}, {email:?}"
        );
        // Another category is as it was.
        school.tell(&ada, None, Some(NotificationKind::ExamGraded)).await;
        assert_eq!(count("notifications").await, entries + 1);
    }
}

#[tokio::test]
async fn preferences_are_replaced_as_a_whole_and_nonsense_is_refused() {
    let school = School::open().await;
    let ada = school.user().await;
    let caller = school.caller(ada.user_id);
    let wanted = choices([("courses", "email", "daily"), ("exams", "in_app", "off")].into_iter()).unwrap();
    let wanted = wanted.with_quiet(QuietHours::parse("22:00", "07:30"));
    put(&school.app, &caller, wanted).await.unwrap();
    let stored = get(&school.app, &caller).await.unwrap();
    assert_eq!(
        stored.frequency(Category::Courses, Channel::Email),
        Frequency::Daily
    );
    assert!(!stored.in_app(Category::Exams));
    assert_eq!(stored.quiet.unwrap().texts(), ("22:00".into(), "07:30".into()));
    put(&school.app, &caller, Preferences::default()).await.unwrap();
    let stored = get(&school.app, &caller).await.unwrap();
    assert!(stored.all().eq(Preferences::default().all()) && stored.quiet.is_none());
    for nonsense in [
        ("parties", "email", "now"),
        ("courses", "pigeon", "now"),
        ("courses", "email", "hourly"),
        ("account", "email", "off"),
    ] {
        let refused = choices([nonsense].into_iter()).unwrap_err();
        assert_eq!(refused.code().name, "validation_failed", "{nonsense:?}");
    }
}

#[tokio::test]
async fn fifty_events_in_a_row_are_ten_mails_and_a_summary_of_the_rest() {
    let school = School::open().await;
    let (ada, berk) = (school.user().await, school.user().await);
    for _ in 0..50 {
        school.enroll(&ada).await;
    }
    let of_ada = format!("FROM notification.mails WHERE user_id = '{}'", ada.user_id);
    assert_eq!(
        school.count(&format!("SELECT count(*) {of_ada}")).await,
        i64::from(CAP)
    );
    let waiting = "SELECT count(*) FROM notification.digest_items";
    assert_eq!(school.count(waiting).await, 40);
    // Neither others nor what somebody waits for are held back.
    school.enroll(&berk).await;
    school.tell(&ada, Some(MailKind::ResetPassword), None).await;
    assert_eq!(
        school.count(&format!("SELECT count(*) {of_ada}")).await,
        i64::from(CAP) + 1
    );
    assert_eq!(school.count(waiting).await, 40);
    // The next hour is another one.
    school.clock.advance(Duration::from_hours(1));
    school.enroll(&ada).await;
    assert_eq!(
        school.count(&format!("SELECT count(*) {of_ada}")).await,
        i64::from(CAP) + 2
    );
}

#[tokio::test]
async fn what_quiet_hours_hold_back_is_capped_where_it_comes_out() {
    let school = School::open().await;
    let ada = school.user().await;
    let quiet = Preferences::default().with_quiet(QuietHours::parse("10:00", "18:00"));
    put(&school.app, &school.caller(ada.user_id), quiet)
        .await
        .unwrap();
    for _ in 0..4 {
        for _ in 0..5 {
            school.enroll(&ada).await;
        }
        school.clock.advance(Duration::from_hours(1));
    }
    school.tell(&ada, Some(MailKind::VerifyEmail), None).await;
    let at = "SELECT count(*) FROM notification.mails WHERE next_attempt_at = ";
    let evening = datetime!(2027-01-15 15:00 UTC);
    assert_eq!(school.count(&format!("{at} '{evening}'")).await, i64::from(CAP));
    assert_eq!(school.count(&format!("{at} '{}'", school.clock.now())).await, 1);
    assert_eq!(
        school
            .count("SELECT count(*) FROM notification.digest_items")
            .await,
        10
    );
}

#[tokio::test]
async fn what_an_owner_has_to_know_of_their_account_is_held_back_by_nothing() {
    let school = School::open().await;
    let ada = school.user().await;
    let quiet = Preferences::default().with_quiet(QuietHours::parse("10:00", "18:00"));
    put(&school.app, &school.caller(ada.user_id), quiet)
        .await
        .unwrap();
    for _ in 0..CAP {
        school.enroll(&ada).await;
    }
    let changed = |change: &str| UserSecurityChanged {
        user_id: ada.user_id.into(),
        email: ada.address.clone(),
        full_name: ada.name.clone(),
        locale: "en".into(),
        change: change.into(),
        changed_at: Some(contracts::timestamp(school.clock.now())),
    };
    let hear = async |event: UserSecurityChanged, id: EventId| {
        let app = Arc::clone(&school.app);
        let delivery = Delivery {
            id,
            subject: event.user_id.clone(),
            event,
            occurred_at: school.clock.now(),
        };
        let done = school.app.db.write(move |mut tx| async move {
            accounts::security_changed(&app, &mut tx, delivery).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        done.await
    };
    for change in [
        "password",
        "totp_enabled",
        "totp_disabled",
        "recovery_code_used",
        "recovery_codes_renewed",
        "identity_linked",
        "identity_unlinked",
        "email_change_requested",
        "email",
    ] {
        let id = EventId::new(school.clock.now());
        for _ in 0..2 {
            hear(changed(change), id).await.unwrap();
        }
    }
    let now = format!(
        "SELECT count(*) FROM notification.mails WHERE next_attempt_at = '{}' AND priority = 0 AND topic = 'account'
         AND text_body LIKE '%15.01.2027 11:00 (UTC+3)%'",
        school.clock.now()
    );
    assert_eq!(school.count(&now).await, 9);
    let unknown = hear(changed("telepathy"), EventId::new(school.clock.now())).await;
    assert!(matches!(unknown, Err(HandlerError::Poison(_))));
}

#[tokio::test]
async fn whose_account_was_made_for_them_is_not_told_of_a_forgotten_password() {
    let school = School::open().await;
    let ada = school.user().await;
    for is_invitation in [Some(true), None] {
        let event = UserPasswordResetRequested {
            user_id: ada.user_id.into(),
            email: ada.address.clone(),
            full_name: ada.name.clone(),
            locale: "en".into(),
            token: "pr_secret".into(),
            expires_at: Some(contracts::timestamp(school.clock.now())),
            is_invitation,
        };
        let delivery = Delivery {
            id: EventId::new(school.clock.now()),
            subject: event.user_id.clone(),
            event,
            occurred_at: school.clock.now(),
        };
        let app = Arc::clone(&school.app);
        let told = school.app.db.write(move |mut tx| async move {
            accounts::password_reset_requested(&app, &mut tx, delivery).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        told.await.unwrap();
    }
    let mails = "SELECT count(*) FROM notification.mails
         WHERE priority = 0 AND text_body LIKE '%#token=pr_secret%' AND text_body LIKE '%15.01.2027 11:00 (UTC+3)%'
           AND (kind, subject) IN (('invitation', 'An account was made for you'), ('reset_password', 'Set a new password'))";
    assert_eq!(school.count(mails).await, 2);
}
