use contracts::events::v1::CourseVideosCompleted;
use event_bus::{Delivery, HandlerError};
use typed_id::EventId;

use super::*;
use crate::consumers::courses_completed;
use crate::usecases::get_enrollment::get_state;

impl School {
    /// These students have completed all videos, as often as the broker likes to say so.
    async fn hear_completed(&self, users: &[UserId]) {
        let (course, at) = (self.course.clone(), self.app.clock.now());
        let users = users.to_vec();
        let heard = self.app.db.write(move |mut tx| async move {
            let deliveries = users.iter().map(|user| Delivery {
                id: EventId::new(at),
                subject: course.id.to_string(),
                event: CourseVideosCompleted {
                    course_id: course.id.into(),
                    user_id: (*user).into(),
                    course_title: course.title.clone(),
                },
                occurred_at: at,
            });
            courses_completed(&mut tx, deliveries.collect()).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        heard.await.unwrap();
    }
}

#[tokio::test]
async fn who_has_completed_all_videos_completes_the_course_once_and_may_go_on() {
    let school = School::open(Some(5)).await;
    let known = school.people(6);
    let statuses = [
        None,
        Some("suspended"),
        Some("dropped"),
        Some("expired"),
        Some("completed"),
    ];
    let emails: Vec<String> = (0..5).map(|n| format!("{n}@okul.test")).collect();
    let everybody: Vec<(&str, Option<&str>)> = emails.iter().map(|email| (email.as_str(), None)).collect();
    school.import(&everybody, &known, false).await;
    let moved: Vec<(&str, Option<&str>)> = emails.iter().map(String::as_str).zip(statuses).collect();
    school.import(&moved, &known, false).await;
    let users: Vec<UserId> = (0..6).map(|n| known[&format!("{n}@okul.test")].id).collect();
    let before = school.events().await.len();
    // Also one who never enrolled, one course twice in a batch, and the same again.
    school.hear_completed(&users).await;
    school.hear_completed(&[users[0], users[0]]).await;
    school.hear_completed(&users).await;
    let now = [
        "Öğrenci 0 completed 2",
        "Öğrenci 1 suspended 2",
        "Öğrenci 2 dropped 2",
        "Öğrenci 3 expired 2",
        "Öğrenci 4 completed 2",
    ];
    assert_eq!(school.statuses().await, now);
    assert_eq!(school.events().await.len(), before + 1);
    let told = school
        .texts(
            "SELECT convert_from(payload, 'UTF8')::json ->> 'course_title' FROM enrollment.outbox
             WHERE type = 'enrollment.status_changed' ORDER BY id DESC LIMIT 1",
        )
        .await;
    assert_eq!(told, ["Matematik"]);
    // What the event was for: the next course asks for this one.
    let next = Course {
        id: CourseId::new(school.app.clock.now()),
        prerequisite_ids: vec![school.course.id.0],
        seat_limit: None,
        ..school.course.clone()
    };
    courses::upsert(school.app.db.primary(), &next).await.unwrap();
    sqlx::query("UPDATE enrollment.users SET email_verified = true")
        .execute(school.app.db.primary())
        .await
        .unwrap();
    let ada = student(users[0]);
    assert!(enroll(&school.app, &ada, next.id, None).await.unwrap().is_new);
    let still = get_state(&school.app, users[0], school.course.id).await.unwrap();
    assert_eq!(still.status, Status::Completed);
}

#[tokio::test]
async fn who_is_in_stays_in_whatever_the_course_asks_for_by_now() {
    let school = School::open(Some(2)).await;
    let mut people: Vec<User> = school.people(3).into_values().collect();
    people.iter_mut().for_each(|user| user.email_verified = true);
    users::upsert(school.app.db.primary(), &people).await.unwrap();
    let (ada, berk, can) = (
        student(people[0].id),
        student(people[1].id),
        student(people[2].id),
    );
    let first = enroll(&school.app, &ada, school.course.id, None).await.unwrap();
    enroll(&school.app, &berk, school.course.id, None).await.unwrap();
    let missing = uuid::Uuid::nil();
    let changes = [
        ("a prerequisite", true, vec![missing], Some(2)),
        ("fewer seats", true, vec![], Some(1)),
        ("unpublished", false, vec![missing], Some(1)),
    ];
    for (version, (what, is_published, prerequisite_ids, seat_limit)) in (2..).zip(changes) {
        let changed = Course {
            version,
            is_published,
            seat_limit,
            prerequisite_ids,
            ..school.course.clone()
        };
        courses::upsert(school.app.db.primary(), &changed).await.unwrap();
        let again = enroll(&school.app, &ada, school.course.id, None).await.unwrap();
        assert_eq!(
            (again.is_new, again.enrollment),
            (false, first.enrollment.clone()),
            "{what}"
        );
        let refused = enroll(&school.app, &can, school.course.id, None).await;
        assert!(refused.is_err(), "{what}");
    }
}
