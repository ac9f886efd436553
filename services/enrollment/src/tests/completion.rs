use contracts::events::v1::CourseVideosCompleted;
use event_bus::outbox::Cause;
use event_bus::{Delivery, HandlerError};
use test_support::{Queries, count_queries};
use typed_id::EventId;

use super::*;
use crate::consumers::courses_completed;
use crate::personal_data::PERSONAL_DATA;
use crate::usecases::create_enrollment::create_enrollment;
use crate::usecases::get_enrollment::get_state;
use crate::usecases::take_seats::{self, Application, Wish};

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

    /// Staff moves somebody's enrolment.
    async fn move_to(&self, user: UserId, status: Status) -> Status {
        let enrollment = get_state(&self.app, user, self.course.id).await.unwrap();
        let change = Change {
            status: Some(status),
            ..Change::default()
        };
        let moved = change_status(&self.app, &self.teacher, enrollment.id, change).await;
        moved.unwrap().enrollment.status
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

#[tokio::test]
async fn a_completion_that_came_at_the_wrong_time_counts_when_the_enrolment_is_active_again() {
    let school = School::open(None).await;
    let mut known = school.people(5);
    known.values_mut().for_each(|user| user.email_verified = true);
    let emails: Vec<String> = (0..5).map(|n| format!("{n}@okul.test")).collect();
    let everybody: Vec<(&str, Option<&str>)> = emails.iter().map(|email| (email.as_str(), None)).collect();
    school.import(&everybody, &known, false).await;
    let statuses = ["dropped", "expired", "dropped", "suspended", "suspended"].map(Some);
    let moved: Vec<(&str, Option<&str>)> = emails.iter().map(String::as_str).zip(statuses).collect();
    school.import(&moved, &known, false).await;
    let users: Vec<UserId> = emails.iter().map(|email| known[email].id).collect();
    let before = school.events().await.len();
    school.hear_completed(&users).await;
    assert_eq!(school.events().await.len(), before);

    // By themselves, by staff one by one, by a file.
    let (course, teacher) = (school.course.id, &school.teacher);
    let ada = student(users[0]);
    let again = enroll(&school.app, &ada, course, None).await.unwrap();
    assert_eq!((again.is_new, again.enrollment.status), (true, Status::Completed));
    let wish = Wish {
        is_staff: true,
        ..Wish::default()
    };
    let again = create_enrollment(&school.app, teacher, course, users[1], wish)
        .await
        .unwrap();
    assert_eq!((again.is_new, again.enrollment.status), (true, Status::Completed));
    let rows = [("2@okul.test", None), ("3@okul.test", Some("active"))];
    assert_eq!(
        told(&school.import(&rows, &known, false).await),
        ["updated", "updated"]
    );
    assert_eq!(school.move_to(users[4], Status::Active).await, Status::Completed);
    let now: Vec<String> = (0..5).map(|n| format!("Öğrenci {n} completed 4")).collect();
    assert_eq!(school.statuses().await, now);

    // Each was active before, and nobody has done it.
    let completions = school
        .texts(
            "SELECT event ->> 'previous_status' || coalesce(event ->> 'actor_id', '')
             FROM (SELECT convert_from(payload, 'UTF8')::json AS event FROM enrollment.outbox) AS told
             WHERE event ->> 'status' = 'completed'",
        )
        .await;
    assert_eq!(completions, ["active"; 5]);
    assert_eq!(
        told(&school.import(&rows, &known, false).await),
        ["unchanged", "unchanged"]
    );
    let next = Course {
        id: CourseId::new(school.app.clock.now()),
        prerequisite_ids: vec![course.0],
        ..school.course.clone()
    };
    courses::upsert(school.app.db.primary(), &next).await.unwrap();
    assert!(enroll(&school.app, &ada, next.id, None).await.unwrap().is_new);
}

#[tokio::test]
async fn a_completion_that_staff_takes_back_does_not_return() {
    let school = School::open(None).await;
    let mut known = school.people(1);
    known.values_mut().for_each(|user| user.email_verified = true);
    school.import(&[("0@okul.test", None)], &known, false).await;
    let user = known["0@okul.test"].id;
    school.hear_completed(&[user]).await;
    assert_eq!(school.move_to(user, Status::Active).await, Status::Active);
    let ada = student(user);
    drop_course(&school.app, &ada, school.course.id).await.unwrap();
    let again = enroll(&school.app, &ada, school.course.id, None).await.unwrap();
    assert_eq!(again.enrollment.status, Status::Active);
}

fn looks_at_completions(queries: &Queries) -> usize {
    let looks = queries.0.iter().filter(|sql| sql.contains("course_completions"));
    looks.count()
}

#[tokio::test]
async fn who_enrols_for_the_first_time_costs_no_look_at_completions() {
    let school = School::open(None).await;
    let application = Application {
        user_id: UserId::new(school.app.clock.now()),
        course_id: school.course.id,
        wish: Wish {
            is_staff: true,
            ..Wish::default()
        },
        at: school.app.clock.now(),
        actor: school.teacher.user().unwrap().id,
        cause: Cause::default(),
    };
    let write = || take_seats::write(school.app.db.clone(), vec![application.clone()]);
    let (first, queries) = count_queries(write()).await;
    assert!(first.unwrap()[0].is_ok());
    assert_eq!(looks_at_completions(&queries), 0);
    school.move_to(application.user_id, Status::Dropped).await;
    let (again, queries) = count_queries(write()).await;
    assert!(again.unwrap()[0].is_ok());
    assert_eq!(looks_at_completions(&queries), 1);
}

#[tokio::test]
async fn completions_go_with_the_account() {
    let school = School::open(None).await;
    let known = school.people(2);
    let rows = [("0@okul.test", None), ("1@okul.test", None)];
    school.import(&rows, &known, false).await;
    let users = rows.map(|(email, _)| known[email].id);
    school.hear_completed(&users).await;
    let erased = users[0];
    let erasing = school.app.db.write(move |mut tx| async move {
        personal_data::erase(&mut tx, erased, 2, PERSONAL_DATA).await?;
        tx.commit(()).await
    });
    erasing
        .await
        .unwrap_or_else(|fault: postgres::WriteError| panic!("{fault}"));
    // Told once more, by a broker that was slow.
    school.hear_completed(&users).await;
    let left = school
        .texts("SELECT user_id::text FROM enrollment.course_completions")
        .await;
    assert_eq!(left, [users[1].to_string()]);
    let held = personal_data::export(&school.app.db, users[1], PERSONAL_DATA)
        .await
        .unwrap();
    let course = held["course_completions"][0]["course_id"].as_str();
    assert_eq!(course, Some(school.course.id.to_string().as_str()));
}
