#![expect(clippy::print_stdout, reason = "measured figures of a test")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use test_support::eventually;
use tokio_util::sync::CancellationToken;

use super::school::{School, mail_settings};
use crate::domain::message::MailKind;
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

/// The batches of an announcement are short transactions that take turns with others, and its mails are behind all others.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_recipients_hold_up_no_other_announcement_and_no_mail_that_somebody_waits_for() {
    let school = School::open().await;
    let (crowd, teacher) = school.course(10_000).await;
    let large = announce(&school.app, &teacher, crowd, "No lesson", "on Friday")
        .await
        .unwrap();
    let begun = Instant::now();
    assert!(send_batch(&school.app).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let sender = school.sender(&mail_settings(folder.path()));
    let waiting = "SELECT count(*) FROM notification.mails WHERE state = 'pending' AND priority < 2";
    let (mut longest, mut batches, mut seen) = (Duration::ZERO, 1, 0);
    loop {
        school.clock.advance(Duration::from_secs(1));
        // What somebody waits for is in the first round after it was asked for, whatever waits beside it.
        let ada = school.user().await;
        school.tell(&ada, Some(MailKind::ResetPassword), None).await;
        school.enroll(&ada).await;
        sender.send_due(1).await.unwrap();
        assert_eq!(school.count(waiting).await, 0);
        seen += 1;
        if batches == 2 {
            // Another course's students are told at the next turn but one.
            let (few, colleague) = school.small_course(3).await;
            let small = announce(&school.app, &colleague, few, "No lesson", "on Friday")
                .await
                .unwrap();
            for _ in 0..2 {
                send_batch(&school.app).await.unwrap();
                batches += 1;
            }
            let page = list(&school.app, &colleague, few, 20, None).await.unwrap();
            assert_eq!(
                (page.announcements[0].id, page.announcements[0].sent_count),
                (small.id, 3)
            );
        }
        let started = Instant::now();
        let more = send_batch(&school.app).await.unwrap();
        longest = longest.max(started.elapsed());
        batches += 1;
        if !more {
            break;
        }
    }
    println!(
        "{batches} batches in {:?}, the longest {longest:?}, {seen} urgent mails beside them",
        begun.elapsed()
    );
    let page = list(&school.app, &teacher, crowd, 20, None).await.unwrap();
    assert_eq!(
        (page.announcements[0].id, page.announcements[0].sent_count),
        (large.id, 10_000)
    );
    let each = "SELECT count(DISTINCT user_id) FROM notification.mails WHERE priority = 2";
    assert_eq!(school.count(each).await, 10_003);
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
