use time::Duration;
use time::macros::{date, datetime};
use tokio_util::sync::CancellationToken;

use super::school::{School, completed, dropped, enrolled, graded, registered, submitted, watched};
use crate::storage::statistics::{self, Figures};
use crate::usecases::compute_statistics::{compute, compute_due};
use crate::usecases::get_statistics::{daily, of_course};

/// Thursday of Istanbul begins and ends at 21:00 of UTC.
const THURSDAY: time::OffsetDateTime = datetime!(2027-01-13 21:00 UTC);

/// What happened on Thursday, 2027-01-14, counted by hand: two registered, three enrolled and one dropped, two videos, one course,
/// three attempts handed in, of which one twice, and graded 40 (then 80), 60 and not yet.
async fn thursday(school: &School) -> (typed_id::CourseId, uuid::Uuid) {
    let (course, teacher) = school.course().await;
    let (other, _) = school.course().await;
    let [ada, berk, can] = [school.id(), school.id(), school.id()];
    let [first, second, third] = [school.id(), school.id(), school.id()];
    let at = |minutes: i64| THURSDAY + Duration::minutes(minutes);
    school.hear(registered(ada), at(0)).await;
    school.hear(registered(berk), at(1)).await;
    school.hear(enrolled(ada, course), at(2)).await;
    school.hear(enrolled(berk, course), at(3)).await;
    school.hear(enrolled(can, other), at(4)).await;
    school.hear(dropped(berk, course), at(5)).await;
    school.hear(watched(ada, course, school.id()), at(6)).await;
    school.hear(watched(berk, course, school.id()), at(7)).await;
    for minutes in [8, 9] {
        school.hear(completed(ada, course), at(minutes)).await;
    }
    school.hear(submitted(ada, course, first, 2), at(10)).await;
    school.hear(submitted(ada, course, first, 4), at(11)).await;
    school.hear(submitted(berk, course, second, 2), at(12)).await;
    school.hear(submitted(can, other, third, 2), at(13)).await;
    // Out of order: the higher version is the later word.
    school.hear(graded(ada, course, first, 6, 8), at(14)).await;
    school.hear(graded(ada, course, first, 5, 4), at(15)).await;
    school
        .hear(graded(can, other, third, 3, 6), at(24 * 60 - 1))
        .await;
    // The evening before and the morning after, when results are released: the same grade is told again, and counts no more.
    school
        .hear(graded(ada, course, first, 7, 8), at(24 * 60 + 1))
        .await;
    school.hear(registered(can), at(-1)).await;
    school.hear(enrolled(can, course), at(24 * 60)).await;
    (course, teacher)
}

#[tokio::test]
async fn figures_are_those_counted_by_hand() {
    let school = School::open().await;
    let (course, teacher) = thursday(&school).await;
    let day = date!(2027 - 01 - 14);
    let expected = Figures {
        registrations: 2,
        active_users: 3,
        enrollments: 3,
        enrollments_dropped: 1,
        videos_completed: 2,
        courses_completed: 1,
        attempts_submitted: 3,
        attempts_graded: 2,
        attempts_passed: 2,
        average_score_percent: Some(70.0),
        ..Figures::nothing(day)
    };
    let of_course_alone = Figures {
        course_id: Some(course.0),
        registrations: 0,
        active_users: 2,
        enrollments: 2,
        attempts_submitted: 2,
        attempts_graded: 1,
        attempts_passed: 1,
        average_score_percent: Some(80.0),
        ..expected.clone()
    };
    let db = school.app.db.primary();
    let counted = statistics::count(db, (day, day), None).await.unwrap();
    assert_eq!(counted.len(), 3);
    assert!(
        counted.contains(&expected) && counted.contains(&of_course_alone),
        "{counted:?}"
    );
    // Asked for before and after they are kept, they are the same; and counting again changes nothing.
    let before = daily(&school.app, Some("2027-01-14")).await.unwrap();
    assert_eq!(
        (before.registrations, before.figures.as_ref().unwrap().is_over),
        (2, true)
    );
    for _ in 0..2 {
        compute(&school.app, day).await.unwrap();
        assert_eq!(statistics::total(db, day).await.unwrap(), Some(expected.clone()));
        assert_eq!(daily(&school.app, None).await.unwrap(), before);
        let kept = statistics::of_course(db, course, (day, day)).await.unwrap();
        assert_eq!(kept, std::slice::from_ref(&of_course_alone));
    }
    let friday = statistics::count(db, (date!(2027 - 01 - 15), date!(2027 - 01 - 15)), None)
        .await
        .unwrap();
    assert!(
        friday.iter().all(|figures| figures.attempts_graded == 0),
        "{friday:?}"
    );
    let caller = school.caller(teacher);
    let found = of_course(&school.app, &caller, course, Some("2027-01-14"), None)
        .await
        .unwrap();
    let days: Vec<_> = found
        .days
        .iter()
        .map(|day| (day.date.as_str(), day.is_over, day.enrollments))
        .collect();
    assert_eq!(
        days,
        [("2027-01-14", true, 2), ("2027-01-15", false, 1)],
        "kept, and counted now"
    );
    let stranger = school.caller(school.id());
    let refused = of_course(&school.app, &stranger, course, None, None).await;
    assert_eq!(refused.unwrap_err().code().name, "permission_denied");
}

#[tokio::test]
async fn the_night_counts_what_is_due_and_what_came_late_again() {
    let school = School::open().await;
    let (course, _) = thursday(&school).await;
    let never = CancellationToken::new();
    // Wednesday, when somebody registered, and Thursday; not Friday, which goes on.
    assert_eq!(compute_due(&school.app, &never).await.unwrap(), 2);
    assert_eq!(compute_due(&school.app, &never).await.unwrap(), 0);
    let registrations = async |date: &str| daily(&school.app, Some(date)).await.unwrap().registrations;
    assert_eq!(registrations("2027-01-13").await, 1);
    assert_eq!(registrations("2027-01-14").await, 2);
    school.hear(registered(school.id()), THURSDAY).await;
    school
        .hear(watched(school.id(), course, school.id()), THURSDAY)
        .await;
    let day = date!(2027 - 01 - 14);
    let db = school.app.db.primary();
    assert_eq!(
        statistics::total(db, day).await.unwrap(),
        None,
        "no longer the last word"
    );
    assert_eq!(compute_due(&school.app, &never).await.unwrap(), 1);
    assert_eq!(registrations("2027-01-14").await, 3);
    // A week later all days between have figures, be they of nothing.
    school.clock.advance(std::time::Duration::from_hours(7 * 24));
    assert_eq!(compute_due(&school.app, &never).await.unwrap(), 7);
    assert_eq!(registrations("2027-01-18").await, 0);
    let refused = daily(&school.app, Some("2027-01-23")).await.unwrap_err();
    assert_eq!(refused.code().name, "validation_failed");
}
