use std::sync::Arc;
use std::time::Duration;

use test_support::eventually;
use tokio_util::sync::CancellationToken;

use super::school::School;
use crate::domain::preference::{Category, Channel, Frequency};
use crate::jobs;
use crate::usecases::announce::{announce, list};
use crate::usecases::send_announcements::send_batch;

const ENTRIES: &str = "SELECT count(*) FROM notification.notifications";
const MAILS: &str = "SELECT count(*) FROM notification.mails";

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_students_are_told_once_each_although_the_job_dies_on_its_way() {
    let school = School::open().await;
    let (course, teacher) = school.course(2_000).await;
    let made = announce(&school.app, &teacher, course, " No lesson ", "on Friday")
        .await
        .unwrap();
    assert_eq!(
        (made.title.as_str(), made.state.as_str()),
        ("No lesson", "sending")
    );
    assert!(send_batch(&school.app).await.unwrap());
    assert_eq!(school.count(ENTRIES).await, 500);
    let job = jobs::announcements(Arc::clone(&school.app), CancellationToken::new());
    let job = tokio::spawn(job);
    eventually(Duration::from_mins(1), || async {
        (school.count(ENTRIES).await > 500).then_some(())
    })
    .await;
    school.cut_off().await;
    job.abort();
    let _ = job.await;
    // Two others go on at once.
    let stop = CancellationToken::new();
    for app in [school.second_instance(), school.second_instance()] {
        tokio::spawn(jobs::announcements(app, stop.clone()));
    }
    let sent = eventually(Duration::from_mins(1), || async {
        let page = list(&school.app, &teacher, course, 20, None).await.unwrap();
        page.announcements.into_iter().find(|one| one.state == "sent")
    })
    .await;
    stop.cancel();
    assert_eq!(sent.sent_count, 2_000);
    for table in ["notifications", "mails"] {
        let each = format!("SELECT count(DISTINCT user_id) FROM notification.{table}");
        assert_eq!(school.count(&each).await, 2_000);
    }
    assert_eq!(
        (school.count(ENTRIES).await, school.count(MAILS).await),
        (2_000, 2_000)
    );
    assert!(!send_batch(&school.app).await.unwrap());
    let low = format!("{MAILS} WHERE priority = 2 AND topic = 'announcements'");
    assert_eq!(school.count(&low).await, 2_000);
}

#[tokio::test]
async fn only_staff_announce_and_only_members_read() {
    let school = School::open().await;
    let (course, teacher) = school.course(1).await;
    let stranger = school.user().await;
    let off = (Category::Announcements, Channel::Email, Frequency::Off);
    school
        .execute(format!(
            "INSERT INTO notification.enrollments VALUES ('{}', '{course}', 1, 'active')",
            stranger.user_id
        ))
        .await;
    school.prefer(stranger.user_id, &[off]).await;
    let student = school.caller(stranger.user_id);
    let refused = announce(&school.app, &student, course, "T", "B")
        .await
        .unwrap_err();
    assert_eq!(refused.code().name, "permission_denied");
    let refused = announce(&school.app, &teacher, course, "  ", "B")
        .await
        .unwrap_err();
    assert_eq!(refused.fields()[0].field, "title");
    for _ in 0..3 {
        announce(&school.app, &teacher, course, "T", "B").await.unwrap();
    }
    let first = list(&school.app, &student, course, 2, None).await.unwrap();
    assert!(!first.is_staff && first.announcements.len() == 2);
    let rest = list(&school.app, &student, course, 2, Some(&first.next_page_token))
        .await
        .unwrap();
    assert_eq!((rest.announcements.len(), rest.next_page_token.as_str()), (1, ""));
    while send_batch(&school.app).await.unwrap() {}
    assert_eq!((school.count(ENTRIES).await, school.count(MAILS).await), (6, 3));
}
