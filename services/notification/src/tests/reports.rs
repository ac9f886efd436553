use contracts::events::v1::WeeklySummaryMade;
use event_bus::{Delivery, HandlerError};
use typed_id::{EventId, UserId};

use super::school::School;
use crate::consumers::reports::weekly_summary_made;
use crate::domain::preference::{Category, Channel, Frequency};

/// The week of a teacher comes to the consumer, as often as the broker likes.
async fn hear(school: &School, id: EventId, teacher: UserId) {
    let event = WeeklySummaryMade {
        teacher_id: teacher.into(),
        first_day: "2027-01-11".into(),
        last_day: "2027-01-17".into(),
        courses: 2,
        active_students: 40,
        enrollments: 7,
        videos_completed: 120,
        courses_completed: 3,
        attempts_submitted: 25,
        attempts_graded: 25,
        average_score_percent: Some(71.6),
    };
    let app = school.app.clone();
    let heard = school.app.db.write(move |mut tx| async move {
        let delivery = Delivery {
            id,
            subject: event.teacher_id.clone(),
            event,
            occurred_at: tx.clock().now(),
        };
        weekly_summary_made(&app, &mut tx, delivery).await?;
        Ok::<_, HandlerError>(tx.commit(()).await?)
    });
    heard.await.unwrap();
}

#[tokio::test]
async fn a_teacher_reads_of_the_week_in_the_inbox_and_in_the_weekly_summary() {
    let school = School::open().await;
    let deniz = school.user().await;
    let id = EventId::new(school.clock.now());
    for _ in 0..3 {
        hear(&school, id, deniz.user_id).await;
    }
    let entries = "SELECT count(*) FROM notification.notifications WHERE kind = 'report.weekly_summary_made'
         AND title = 'The week in your courses: 11.01.2027 - 17.01.2027'
         AND body LIKE 'Active students: 40. New enrolments: 7.%Average score: 72\\%.'";
    assert_eq!(school.count(entries).await, 1);
    // By mail it can wait for the summary of the week, unless it is wanted at once.
    assert_eq!(school.count("SELECT count(*) FROM notification.mails").await, 0);
    let items = "SELECT count(*) FROM notification.digest_items";
    assert_eq!(school.count(items).await, 1);
    let cells = [(Category::Reports, Channel::Email, Frequency::Now)];
    school.prefer(deniz.user_id, &cells).await;
    let next = EventId::new(school.clock.now());
    for _ in 0..2 {
        hear(&school, next, deniz.user_id).await;
    }
    let mails = "SELECT count(*) FROM notification.mails WHERE kind = 'weekly_summary' AND priority = 2";
    assert_eq!(school.count(mails).await, 1);
    assert_eq!(school.count(items).await, 1);
}

#[tokio::test]
async fn who_wants_no_reports_hears_nothing_of_them() {
    let school = School::open().await;
    let deniz = school.user().await;
    let cells = [
        (Category::Reports, Channel::Email, Frequency::Off),
        (Category::Reports, Channel::InApp, Frequency::Off),
    ];
    school.prefer(deniz.user_id, &cells).await;
    hear(&school, EventId::new(school.clock.now()), deniz.user_id).await;
    for table in ["notifications", "mails", "digest_items"] {
        let sql = format!("SELECT count(*) FROM notification.{table}");
        assert_eq!(school.count(&sql).await, 0, "{table}");
    }
}
