use std::time::Duration;

use contracts::Event;
use contracts::events::v1::{EnrollmentCreated, ExamAttemptGraded};
use event_bus::{Consumer, Relay, outbox};
use postgres::WriteError;
use test_support::{TestBroker, count_queries, eventually};
use tokio_util::sync::CancellationToken;
use typed_id::UserId;

use super::school::{School, dropped, enrolled, graded, registered, submitted, watched};
use crate::consumers;
use crate::storage::activity::Filter;
use crate::usecases::list_activity::{Paging, list, of_caller, of_course};

const PATIENCE: Duration = Duration::from_secs(30);

fn paging(size: i64, token: Option<String>) -> Paging {
    Paging { size, token }
}

#[tokio::test]
async fn what_comes_again_is_there_once_also_when_the_inbox_has_forgotten_it() {
    let school = School::open().await;
    let (course, _) = school.course().await;
    let (ada, now) = (school.id(), school.clock.now());
    let id = school.hear(enrolled(ada, course), now).await;
    for _ in 0..3 {
        school.hear_again(id, enrolled(ada, course), now).await;
    }
    school.hear(enrolled(ada, course), now).await;
    assert_eq!(school.count("SELECT count(*) FROM reporting.activity").await, 2);
    // What is told of a day that is over marks it.
    let marks = "SELECT count(*) FROM reporting.stale_days";
    assert_eq!(school.count(marks).await, 0);
    let yesterday = now - Duration::from_hours(24);
    let late = school.hear(registered(ada), yesterday).await;
    assert_eq!(school.count(marks).await, 1);
    school
        .execute("DELETE FROM reporting.stale_days".to_owned())
        .await;
    school.hear_again(late, registered(ada), yesterday).await;
    assert_eq!(school.count(marks).await, 0, "it was known");
}

#[tokio::test]
async fn pages_go_on_where_they_ended_and_filters_hold() {
    let school = School::open().await;
    let (course, _) = school.course().await;
    let (other, _) = school.course().await;
    let ada = school.id();
    let begun = school.clock.now();
    for number in 0..45 {
        school.clock.advance(Duration::from_secs(number % 2));
        let place = if number % 3 == 0 { other } else { course };
        school
            .hear(watched(ada, place, school.id()), school.clock.now())
            .await;
    }
    school.hear(enrolled(school.id(), course), begun).await;
    let all = Filter {
        user: Some(UserId(ada)),
        course: Some(course),
        ..Filter::default()
    };
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let (page, queries) = count_queries(list(&school.app, all.clone(), paging(7, token.clone()))).await;
        let page = page.unwrap();
        assert_eq!(queries.count(), 1);
        found.extend(page.activities);
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
    }
    assert_eq!(found.len(), 30);
    assert!(
        found
            .windows(2)
            .all(|pair| (pair[0].at, pair[0].id) > (pair[1].at, pair[1].id))
    );
    // A token opens its own list alone.
    let stolen = list(&school.app, Filter::default(), paging(7, token)).await;
    assert_eq!(stolen.unwrap_err().code().name, "invalid_page_token");
    let count = async |filter: Filter| {
        let page = list(&school.app, filter, paging(100, None)).await;
        page.unwrap().activities.len()
    };
    let kind = Some("enrollment.created".to_owned());
    assert_eq!(
        count(Filter {
            kind,
            ..Filter::default()
        })
        .await,
        1
    );
    let from = Some(begun + Duration::from_secs(22));
    assert_eq!(
        count(Filter {
            from,
            ..Filter::default()
        })
        .await,
        2
    );
    let to = Some(begun);
    assert_eq!(
        count(Filter {
            to,
            ..Filter::default()
        })
        .await,
        0
    );
}

#[tokio::test]
async fn a_course_is_for_its_staff_and_ones_own_is_without_grades() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let ada = school.student(course, "Ada").await;
    let (attempt, now) = (school.id(), school.clock.now());
    school.hear(submitted(ada, course, attempt, 1), now).await;
    school.hear(graded(ada, course, attempt, 2, 9), now).await;
    let see = async |who| {
        let caller = school.caller(who);
        let asked = of_course(&school.app, &caller, course, Filter::default(), paging(20, None));
        asked.await.map(|page| page.activities.len())
    };
    assert_eq!(see(teacher).await.unwrap(), 2);
    assert_eq!(see(ada).await.unwrap_err().code().name, "permission_denied");
    let caller = school.caller(ada);
    let own = of_caller(&school.app, &caller, Filter::default(), paging(20, None)).await;
    let own = own.unwrap().activities;
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].kind, "exam.attempt_submitted");
}

/// The whole way: outbox, broker, consumer, with everything delivered twice and the consumer stopped half-way.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_that_are_published_twice_are_kept_once_each() {
    const EVENTS: i64 = 1_000;
    let school = School::open().await;
    let (course, _) = school.course().await;
    let broker = TestBroker::new().await;
    let bus = broker.bus("reporting");
    let db = &school.app.db;
    let half = |number: i64| number < EVENTS / 2;
    let enrolments: Vec<EnrollmentCreated> = (0..EVENTS)
        .filter(|number| half(*number))
        .map(|_| enrolled(school.id(), course))
        .collect();
    let grades: Vec<ExamAttemptGraded> = (0..EVENTS)
        .filter(|number| !half(*number))
        .map(|_| graded(school.id(), course, school.id(), 1, 7))
        .collect();
    let written = db.write(move |mut tx| async move {
        outbox::append_all(&mut tx, &enrolments).await?;
        outbox::append_all(&mut tx, &grades).await?;
        tx.commit(()).await
    });
    let written: Result<(), WriteError> = written.await;
    written.unwrap();
    let stop = CancellationToken::new();
    let relay = tokio::spawn(Relay::new(db.clone(), bus.clone()).run(stop.clone()));
    let kept = "SELECT count(*) FROM reporting.activity";
    let unpublished = "SELECT count(*) FROM reporting.outbox WHERE published_at IS NULL";
    // A consumer that is stopped in the middle; what it had in hand is delivered to the next one.
    let first = CancellationToken::new();
    let consumer = Consumer::new(db.clone(), bus.clone(), consumers::activity());
    let consuming = tokio::spawn(consumer.run(first.clone()));
    eventually(PATIENCE, || async {
        (school.count(kept).await > 50).then_some(())
    })
    .await;
    first.cancel();
    consuming.await.unwrap();
    // Everything is published once more.
    eventually(PATIENCE, || async {
        (school.count(unpublished).await == 0).then_some(())
    })
    .await;
    school
        .execute("UPDATE reporting.outbox SET published_at = NULL".to_owned())
        .await;
    let consumer = Consumer::new(db.clone(), bus.clone(), consumers::activity());
    let consuming = tokio::spawn(consumer.run(stop.clone()));
    eventually(PATIENCE, || async {
        (school.count(unpublished).await == 0).then_some(())
    })
    .await;
    eventually(PATIENCE, || async {
        (school.count(kept).await == EVENTS).then_some(())
    })
    .await;
    let of_kind = |kind: &str| format!("{kept} WHERE kind = '{kind}'");
    assert_eq!(school.count(&of_kind(EnrollmentCreated::TYPE)).await, EVENTS / 2);
    assert_eq!(school.count(&of_kind(ExamAttemptGraded::TYPE)).await, EVENTS / 2);
    stop.cancel();
    consuming.await.unwrap();
    relay.await.unwrap();
    assert_eq!(school.count(kept).await, EVENTS);
}

#[tokio::test]
async fn months_have_partitions_and_a_month_without_one_refuses_nothing() {
    let school = School::open().await;
    crate::jobs::ensure_partitions(&school.app.db).await.unwrap();
    crate::jobs::ensure_partitions(&school.app.db).await.unwrap();
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'reporting.activity'::regclass";
    assert_eq!(school.count(partitions).await, 4);
    let far = school.clock.now() + time::Duration::days(4_000);
    school.hear(registered(school.id()), far).await;
    let rest = "SELECT count(*) FROM reporting.activity_rest";
    assert_eq!(school.count(rest).await, 1);
}

#[tokio::test]
async fn the_log_knows_who_did_it_where_the_event_does() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let (ada, attempt, now) = (
        school.student(course, "Ada").await,
        school.id(),
        school.clock.now(),
    );
    let by_staff = EnrollmentCreated {
        actor_id: teacher.to_string(),
        ..enrolled(ada, course)
    };
    school.hear(by_staff, now).await;
    school.hear(dropped(ada, course), now).await;
    school.hear(watched(ada, course, school.id()), now).await;
    school.hear(graded(ada, course, attempt, 2, 9), now).await;
    let page = list(&school.app, Filter::default(), paging(20, None)).await;
    let mut found: Vec<_> = page
        .unwrap()
        .activities
        .into_iter()
        .map(|line| (line.kind, line.actor_id))
        .collect();
    found.sort();
    let expected = [
        ("enrollment.created", Some(teacher)),
        ("enrollment.status_changed", None),
        ("exam.attempt_graded", None),
        ("progress.video_completed", Some(ada)),
    ];
    assert_eq!(found, expected.map(|(kind, actor)| (kind.to_owned(), actor)));
}

#[tokio::test]
async fn months_whose_time_is_over_are_dropped() {
    let school = School::open().await;
    let partition = |month: &str, next: &str| {
        let name = month.replace('-', "_");
        format!(
            "CREATE TABLE reporting.activity_{name} PARTITION OF reporting.activity
             FOR VALUES FROM ('{month}-01 00:00+00') TO ('{next}-01 00:00+00')"
        )
    };
    school.execute(partition("2019-03", "2019-04")).await;
    school
        .hear(
            registered(school.id()),
            time::macros::datetime!(2019-03-10 12:00 UTC),
        )
        .await;
    let left = "SELECT count(*) FROM reporting.activity";
    assert_eq!(crate::jobs::keep_partitions(&school.app.db, 0).await.unwrap(), 0);
    assert_eq!(school.count(left).await, 1);
    assert_eq!(crate::jobs::keep_partitions(&school.app.db, 24).await.unwrap(), 1);
    assert_eq!(school.count(left).await, 0);
}
