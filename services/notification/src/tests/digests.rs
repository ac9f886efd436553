use std::time::Duration;

use sqlx::Row;

use super::school::School;
use crate::domain::preference::{Category, Channel, Frequency};
use crate::usecases::send_digests::send_batch;

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_send_each_summary_once_with_all_that_was_collected() {
    let school = School::open().await;
    let mut users = Vec::new();
    for _ in 0..30 {
        let user = school.user().await;
        let daily = (Category::Courses, Channel::Email, Frequency::Daily);
        school.prefer(user.user_id, &[daily]).await;
        for _ in 0..3 {
            school.enroll(&user).await;
        }
        users.push(user);
    }
    let mails = "SELECT count(*) FROM notification.mails";
    send_batch(&school.app).await.unwrap();
    assert_eq!(school.count(mails).await, 0, "nothing is due yet");
    // Saturday, 08:00 in Istanbul.
    school.clock.advance(Duration::from_hours(21));
    let other = school.second_instance();
    let rounds = (0..8).map(|round| {
        let app = if round % 2 == 0 { &school.app } else { &other };
        send_batch(app)
    });
    for sent in futures::future::join_all(rounds).await {
        sent.unwrap();
    }
    assert_eq!(school.count(mails).await, 30);
    let each = "SELECT count(DISTINCT user_id) FROM notification.mails WHERE kind = 'digest'";
    assert_eq!(school.count(each).await, 30);
    assert_eq!(
        school
            .count("SELECT count(*) FROM notification.digest_items")
            .await,
        0
    );
    let row = sqlx::query("SELECT text_body, html_body FROM notification.mails LIMIT 1")
        .fetch_one(school.app.db.primary())
        .await
        .unwrap();
    let (text, html): (String, String) = (row.get(0), row.get(1));
    assert_eq!(text.matches("* You are enrolled: Algebra").count(), 3, "{text}");
    assert_eq!(html.matches("You are enrolled: Algebra").count(), 3, "{html}");
}

#[tokio::test]
async fn a_weekly_summary_comes_on_monday() {
    let school = School::open().await;
    let ada = school.user().await;
    let weekly = (Category::Courses, Channel::Email, Frequency::Weekly);
    school.prefer(ada.user_id, &[weekly]).await;
    school.enroll(&ada).await;
    let mails = "SELECT count(*) FROM notification.mails WHERE kind = 'digest'";
    for (days, sent) in [(1, 0), (1, 0), (1, 1), (7, 1)] {
        school.clock.advance(Duration::from_hours(24 * days));
        send_batch(&school.app).await.unwrap();
        assert_eq!(school.count(mails).await, sent);
    }
}
