use std::time::Duration;

use futures::future::join_all;
use test_support::count_queries;

use super::classroom::{Classroom, caller, code};
use crate::domain::attempt::{ClosedBy, State};
use crate::storage::attempts;
use crate::usecases::ChangeError;
use crate::usecases::close_attempt::{Paper, close};
use crate::usecases::close_due::close_due;
use crate::usecases::exams::Changes;
use crate::usecases::get_attempt::get_attempt;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tabs_have_one_attempt() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(3, Changes::default()).await, room.student().await);
    let tabs = join_all((0..200).map(|_| room.start(&ada, exam))).await;
    let ids: std::collections::HashSet<_> = tabs.iter().map(|tab| tab.as_ref().unwrap().attempt.id).collect();
    assert_eq!(ids.len(), 1);
    let new = tabs.iter().filter(|tab| tab.as_ref().unwrap().is_new).count();
    assert_eq!(
        (new, room.count("SELECT count(*) FROM exam.attempts").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_starts_at_once_and_reads_the_exam_once() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(5, Changes::default()).await, room.students(200).await);
    let (started, queries) =
        count_queries(join_all(students.iter().map(|student| room.start(student, exam)))).await;
    assert!(started.iter().all(|one| one.as_ref().unwrap().is_new));
    assert_eq!(room.count("SELECT count(*) FROM exam.attempts").await, 200);
    let reads = |table: &str| queries.0.iter().filter(|query| query.contains(table)).count();
    let exam = reads("FROM exam.exams") - reads("FOR KEY SHARE");
    assert_eq!((exam, reads("FROM exam.revisions")), (1, 1));
}

#[tokio::test]
async fn nobody_starts_who_may_not() {
    let room = Classroom::open().await;
    let ada = room.student().await;
    let stranger = caller(typed_id::UserId::new(room.app.clock.now()));
    let now = room.app.clock.now();
    let hour = time::Duration::hours(1);
    let open = room.exam(1, Changes::default()).await;
    let early = Changes {
        opens_at: Some(Some(now + hour)),
        ..Changes::default()
    };
    let late = Changes {
        closes_at: Some(Some(now - hour)),
        ..Changes::default()
    };
    assert_eq!(
        code(&room.start(&ada, room.exam(1, early).await).await),
        "exam_not_open"
    );
    assert_eq!(
        code(&room.start(&ada, room.exam(1, late).await).await),
        "exam_not_open"
    );
    // Enrollment is away, so that nobody can say whether this stranger is enrolled.
    assert_ne!(code(&room.start(&stranger, open).await), "ok");
    assert_eq!(code(&room.start(&ada, open).await), "ok");
}

#[tokio::test]
async fn attempts_are_counted_and_cool_down() {
    let room = Classroom::open().await;
    let ada = room.student().await;
    let rules = Changes {
        max_attempts: Some(2),
        cooldown_seconds: Some(60),
        ..Changes::default()
    };
    let exam = room.exam(1, rules).await;
    let first = room.start(&ada, exam).await.unwrap().attempt;
    room.submit(&ada, first.id).await.unwrap();
    assert_eq!(code(&room.start(&ada, exam).await), "cooldown_active");
    room.execute("UPDATE exam.attempts SET submitted_at = submitted_at - interval '2 minutes'".into())
        .await;
    let second = room.start(&ada, exam).await.unwrap().attempt;
    assert_eq!(second.number, 2);
    room.submit(&ada, second.id).await.unwrap();
    assert_eq!(code(&room.start(&ada, exam).await), "attempts_exhausted");
}

#[tokio::test]
async fn the_server_hands_in_at_the_deadline_also_after_downtime() {
    let room = Classroom::open().await;
    let timed = Changes {
        time_limit_seconds: Some(Some(60)),
        ..Changes::default()
    };
    let exam = room.exam(2, timed).await;
    let students = room.students(250).await;
    let mut attempts = Vec::new();
    for student in &students {
        attempts.push(room.start(student, exam).await.unwrap().attempt);
    }
    room.choose(&students[0], &attempts[0], 0, 0, 1).await.unwrap();
    assert!(!close_due(&room.app).await.unwrap(), "nothing is over yet");
    room.execute("UPDATE exam.attempts SET deadline = deadline - interval '1 day'".into())
        .await;
    let mut rounds = 1;
    while close_due(&room.app).await.unwrap() {
        rounds += 1;
    }
    assert_eq!(rounds, 3, "in batches of 100");
    let answered = room.stored(attempts[0].id).await;
    assert_eq!(
        (answered.state, answered.submitted_by),
        (State::Graded, Some(ClosedBy::Server))
    );
    assert_eq!(answered.submitted_at, answered.deadline);
    let silent = room.stored(attempts[1].id).await;
    assert_eq!((silent.state, silent.score.unwrap().0), (State::Expired, 0));
    assert_eq!(
        room.count("SELECT count(*) FROM exam.attempts WHERE state = 'open'")
            .await,
        0
    );
    let told = "SELECT count(*) FROM exam.outbox WHERE type = 'exam.attempt_submitted'";
    assert_eq!(room.count(told).await, 250);
}

#[tokio::test]
async fn an_overdue_attempt_makes_room_for_the_next() {
    let room = Classroom::open().await;
    let rules = Changes {
        time_limit_seconds: Some(Some(60)),
        max_attempts: Some(2),
        ..Changes::default()
    };
    let (exam, ada) = (room.exam(1, rules).await, room.student().await);
    let first = room.start(&ada, exam).await.unwrap().attempt;
    room.age(first.id, Duration::from_mins(2)).await;
    let second = room.start(&ada, exam).await.unwrap();
    assert!(second.is_new && second.attempt.number == 2);
    assert_eq!(room.stored(first.id).await.state, State::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_races_the_server_cools_down() {
    let room = Classroom::open().await;
    let rules = Changes {
        time_limit_seconds: Some(Some(60)),
        max_attempts: Some(0),
        cooldown_seconds: Some(3_600),
        ..Changes::default()
    };
    let (exam, ada) = (room.exam(1, rules).await, room.student().await);
    let id = room.start(&ada, exam).await.unwrap().attempt.id;
    room.age(id, Duration::from_mins(2)).await;
    let snapshots = room.app.snapshots.clone();
    // The start has seen the attempt open when it comes to the lock.
    let started = room.while_locked(
        move |tx| {
            Box::pin(async move {
                let open = attempts::lock(tx, id).await?.unwrap();
                let paper = Paper::within(tx, &snapshots, &open).await?;
                let now = attempts::now(&mut **tx).await?;
                close(tx, vec![(open, paper)], ClosedBy::Server, now).await?;
                Ok::<_, ChangeError>(())
            })
        },
        room.start(&ada, exam),
    );
    assert_eq!(code(&started.await), "cooldown_active");
    assert_eq!(room.count("SELECT count(*) FROM exam.attempts").await, 1);
}

#[tokio::test]
async fn an_attempt_is_its_owners_and_the_teachers() {
    let room = Classroom::open().await;
    let exam = room.exam(2, Changes::default()).await;
    let (ada, berk) = (room.student().await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    let (seen, queries) = count_queries(get_attempt(&room.app, &ada, attempt.id)).await;
    assert_eq!(seen.unwrap().attempt.id, attempt.id);
    assert!(queries.count() <= 3, "{:?}", queries.0);
    assert!(get_attempt(&room.app, &room.teacher, attempt.id).await.is_ok());
    assert_eq!(
        code(&get_attempt(&room.app, &berk, attempt.id).await),
        "not_found"
    );
    assert_eq!(code(&room.submit(&berk, attempt.id).await), "not_found");
    assert_eq!(code(&room.choose(&berk, &attempt, 0, 0, 1).await), "not_found");
}
