use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::school::School;
use crate::config::NotificationSettings;
use crate::domain::message::NotificationKind;
use crate::jobs::remove_notifications;
use crate::storage::notifications::purge;
use crate::usecases::announce::{announce, list};
use crate::usecases::mark_read::mark_all_read;
use crate::usecases::send_announcements::send_batch;

const DAY: Duration = Duration::from_hours(24);
const KEPT: NotificationSettings = NotificationSettings {
    keep_read_months: 12,
    keep_unread_months: 24,
};
const READ: &str = "SELECT count(*) FROM notification.notifications WHERE read_at IS NOT NULL";
const UNREAD: &str = "SELECT count(*) FROM notification.notifications WHERE read_at IS NULL";

#[tokio::test]
async fn what_was_read_goes_after_a_year_and_what_never_was_after_two() {
    let school = School::open().await;
    let (ada, berk) = (school.user().await, school.user().await);
    for _ in 0..2 {
        for user in [&ada, &berk] {
            for _ in 0..3 {
                school.tell(user, None, Some(NotificationKind::ExamGraded)).await;
            }
        }
        mark_all_read(&school.app, &school.caller(ada.user_id))
            .await
            .unwrap();
        school.clock.advance(DAY * 30);
    }
    let stop = CancellationToken::new();
    let remove = async || remove_notifications(&school.app, KEPT, &stop).await.unwrap();
    assert_eq!(remove().await, (0, 0));
    // A year after the first ones.
    school.clock.advance(DAY * 306);
    assert_eq!(remove().await, (3, 0));
    assert_eq!((school.count(READ).await, school.count(UNREAD).await), (3, 6));
    school.clock.advance(DAY * 365);
    assert_eq!(remove().await, (3, 3));
    assert_eq!((school.count(READ).await, school.count(UNREAD).await), (0, 3));
    school.clock.advance(DAY * 30);
    assert_eq!(remove().await, (0, 3));
}

#[tokio::test]
async fn the_oldest_go_first_and_no_more_at_once_than_asked() {
    let school = School::open().await;
    let ada = school.user().await;
    for _ in 0..3 {
        school.tell(&ada, None, Some(NotificationKind::ExamGraded)).await;
        school.clock.advance(DAY);
    }
    let (db, now) = (school.app.db.primary(), school.clock.now());
    assert_eq!(purge(db, now, true, 2).await.unwrap(), 0);
    assert_eq!(purge(db, now, false, 2).await.unwrap(), 2);
    let left: OffsetDateTime = sqlx::query_scalar("SELECT created_at FROM notification.notifications")
        .fetch_one(db)
        .await
        .unwrap();
    assert_eq!(left, now - DAY);
    assert_eq!(purge(db, now, false, 2).await.unwrap(), 1);
}

#[tokio::test]
async fn a_courses_announcements_outlive_the_entries_of_inboxes() {
    let school = School::open().await;
    let (course, teacher) = school.small_course(2).await;
    announce(&school.app, &teacher, course, "No lesson", "on Friday")
        .await
        .unwrap();
    assert!(send_batch(&school.app).await.unwrap());
    assert_eq!(school.count(UNREAD).await, 2);
    school.clock.advance(DAY * 731);
    let removed = remove_notifications(&school.app, KEPT, &CancellationToken::new()).await;
    assert_eq!(removed.unwrap(), (0, 2));
    let page = list(&school.app, &teacher, course, 20, None).await.unwrap();
    assert_eq!(page.announcements.len(), 1);
}
