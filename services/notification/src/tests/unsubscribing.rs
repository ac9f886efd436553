use std::time::Duration;

use super::school::School;
use crate::domain::message::MailKind;
use crate::domain::preference::{Category, Channel, Frequency};
use crate::storage::mails::{Mail, Share, claim};
use crate::usecases::preferences::get;
use crate::usecases::unsubscribe::{token, unsubscribe};

async fn due(school: &School) -> Vec<Mail> {
    let share = Share {
        most_urgent: 100,
        longest_waiting: 0,
    };
    let db = school.app.db.primary();
    claim(db, share, time::Duration::minutes(2), school.clock.now())
        .await
        .unwrap()
}

#[tokio::test]
async fn one_click_ends_the_mails_of_the_category_and_takes_back_what_waits() {
    let school = School::open().await;
    let ada = school.user().await;
    school.enroll(&ada).await;
    let mail = due(&school).await.remove(0);
    let link = token(&school.app.pages, &mail, school.clock.now()).unwrap();
    school.enroll(&ada).await;
    school.tell(&ada, Some(MailKind::Announcement), None).await;
    for _ in 0..2 {
        unsubscribe(&school.app, &link).await.unwrap();
    }
    let left = due(&school).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].topic, "announcements");
    let preferences = get(&school.app, &school.caller(ada.user_id)).await.unwrap();
    assert_eq!(
        preferences.frequency(Category::Courses, Channel::Email),
        Frequency::Off
    );
    assert!(preferences.in_app(Category::Courses));
    assert_eq!(
        preferences.frequency(Category::Exams, Channel::Email),
        Frequency::Now
    );
}

#[tokio::test]
async fn a_summary_ends_all_but_the_account_and_the_account_has_no_link() {
    let school = School::open().await;
    let ada = school.user().await;
    school.tell(&ada, Some(MailKind::VerifyEmail), None).await;
    let account = due(&school).await.remove(0);
    assert_eq!(token(&school.app.pages, &account, school.clock.now()), None);
    let summary = Mail {
        topic: "digest".into(),
        ..account
    };
    let link = token(&school.app.pages, &summary, school.clock.now()).unwrap();
    unsubscribe(&school.app, &link).await.unwrap();
    let preferences = get(&school.app, &school.caller(ada.user_id)).await.unwrap();
    for category in Category::ALL {
        let expected = match category {
            Category::Account => Frequency::Now,
            _ => Frequency::Off,
        };
        assert_eq!(preferences.frequency(*category, Channel::Email), expected);
    }
}

#[tokio::test]
async fn a_token_that_was_touched_or_is_old_is_refused() {
    let school = School::open().await;
    let ada = school.user().await;
    school.enroll(&ada).await;
    let mail = due(&school).await.remove(0);
    let link = token(&school.app.pages, &mail, school.clock.now()).unwrap();
    // A page token is none.
    let mut bad = vec![
        school.app.pages.seal("notifications", &mail.user_id),
        "nonsense".into(),
    ];
    for place in [0, link.len() / 2, link.len() - 2] {
        let mut touched = link.clone();
        let other = if touched.as_bytes()[place] == b'A' {
            "B"
        } else {
            "A"
        };
        touched.replace_range(place..=place, other);
        bad.push(touched);
    }
    for token in &bad {
        let refused = unsubscribe(&school.app, token).await.unwrap_err();
        assert_eq!(refused.code().name, "invalid_one_time_token", "{token}");
    }
    school.clock.advance(Duration::from_hours(24 * 91));
    assert!(unsubscribe(&school.app, &link).await.is_err());
    assert_eq!(
        school
            .count("SELECT count(*) FROM notification.preferences")
            .await,
        0
    );
}
