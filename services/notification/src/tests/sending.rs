use std::sync::atomic::Ordering;
use std::time::Duration;

use rpc_client::{Breaker, BreakerSettings};
use test_support::eventually;

use super::relay::Relay;
use super::school::{School, mail_settings};
use crate::config::{MailSettings, TransportKind};
use crate::domain::message::MailKind;
use crate::jobs::remove_old;
use crate::storage::mails::{Share, claim};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_away_costs_no_mail_and_is_left_alone_until_it_is_back() {
    let (school, relay) = (School::open().await, Relay::start().await);
    for _ in 0..20 {
        let user = school.user().await;
        school.enroll(&user).await;
    }
    let settings = MailSettings {
        transport: TransportKind::Smtp,
        smtp_url: relay.url.clone().into(),
        ..mail_settings(std::path::Path::new("unused"))
    };
    let pause = Duration::from_secs(3);
    let breaker = BreakerSettings {
        threshold: 5,
        first_pause: pause,
        max_pause: pause,
    };
    let sender = school.sender(&settings).with_breaker(Breaker::new(breaker));
    let mut taken = Vec::new();
    for _ in 0..6 {
        taken.push(sender.send_due(1).await.unwrap());
    }
    // Two rounds of four mails; nothing more while it is open.
    assert_eq!(taken, [4, 4, 0, 0, 0, 0]);
    let failed = "SELECT count(*) FROM notification.mails WHERE last_error IS NOT NULL";
    assert_eq!(school.count(failed).await, 8);
    let untouched = "SELECT count(*) FROM notification.mails WHERE state = 'pending' AND attempts = 0";
    assert_eq!(school.count(untouched).await, 20, "no attempt was counted");
    relay.works.store(true, Ordering::SeqCst);
    let trial = eventually(LIMIT, || async {
        let taken = sender.send_due(1).await.unwrap();
        (taken > 0).then_some(taken)
    });
    assert_eq!(trial.await, 1);
    // What failed is due again later.
    school.clock.advance(Duration::from_mins(20));
    while sender.send_due(1).await.unwrap() > 0 {}
    let sent = "SELECT count(*) FROM notification.mails WHERE state = 'sent'";
    assert_eq!(school.count(sent).await, 20);
    assert_eq!(relay.taken.load(Ordering::SeqCst), 20);
    assert_eq!(remove_old(&school.app).await.unwrap().mails, 0);
    let user = school.user().await;
    school.enroll(&user).await;
    school.clock.advance(Duration::from_hours(91 * 24));
    assert_eq!(
        remove_old(&school.app).await.unwrap().mails,
        20,
        "the one that waits stays"
    );
}

#[tokio::test]
async fn what_is_urgent_goes_first_and_what_waited_longest_has_its_turn() {
    let school = School::open().await;
    let ada = school.user().await;
    school.tell(&ada, Some(MailKind::Announcement), None).await;
    for kind in [
        MailKind::EnrollmentCreated,
        MailKind::ResetPassword,
        MailKind::VerifyEmail,
    ] {
        school.clock.advance(Duration::from_mins(1));
        school.tell(&ada, Some(kind), None).await;
    }
    let (db, now) = (school.app.db.primary(), school.clock.now());
    let take = async |most_urgent, longest_waiting| {
        let share = Share {
            most_urgent,
            longest_waiting,
        };
        let mails = claim(db, share, time::Duration::minutes(2), now).await.unwrap();
        let mut kinds: Vec<String> = mails.into_iter().map(|mail| mail.kind).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(take(1, 0).await, ["reset_password"]);
    assert_eq!(take(1, 1).await, ["announcement", "verify_email"]);
    assert_eq!(take(4, 0).await, ["enrollment_created"]);
}
