use std::time::Duration;

use super::classroom::{Classroom, code};
use crate::domain::attempt::State;
use crate::domain::deadline::Accommodation;
use crate::storage::accommodation_groups::Group;
use crate::usecases::Paging;
use crate::usecases::accommodate::{list, put};
use crate::usecases::accommodate_group;
use crate::usecases::close_due::close_due;
use crate::usecases::exams::{Changes, update};

fn timed() -> Changes {
    Changes {
        time_limit_seconds: Some(Some(600)),
        ..Changes::default()
    }
}

fn paging() -> Paging {
    Paging {
        size: 10,
        token: None,
    }
}

#[tokio::test]
async fn more_time_moves_an_open_attempt_at_once_and_later_ones_too() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(1, timed()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    let more = Accommodation {
        extra_seconds: 30,
        extra_percent: 50,
    };
    let student = ada.user().unwrap().id;
    put(&room.app, &room.teacher, exam, student, more).await.unwrap();
    let moved = room.stored(attempt.id).await.deadline.unwrap() - attempt.deadline.unwrap();
    assert_eq!(moved.whole_seconds(), 330);
    assert_eq!(
        code(&put(&room.app, &ada, exam, student, more).await),
        "permission_denied"
    );
    let listed = list(&room.app, &room.teacher, exam, paging())
        .await
        .unwrap()
        .items;
    assert_eq!(listed[0].accommodation, more);
}

#[tokio::test]
async fn more_time_wins_over_the_server_and_not_over_the_student() {
    let room = Classroom::open().await;
    let exam = room.exam(1, timed()).await;
    let students = room.students(2).await;
    let more = Accommodation {
        extra_seconds: 3_600,
        extra_percent: 0,
    };
    let late = room.start(&students[0], exam).await.unwrap().attempt;
    room.choose(&students[0], &late, 0, 0, 1).await.unwrap();
    room.age(late.id, Duration::from_secs(700)).await;
    close_due(&room.app).await.unwrap();
    assert_eq!(room.stored(late.id).await.state, State::Graded);
    put(
        &room.app,
        &room.teacher,
        exam,
        students[0].user().unwrap().id,
        more,
    )
    .await
    .unwrap();
    let reopened = room.stored(late.id).await;
    assert_eq!((reopened.state, reopened.score), (State::Open, None));
    assert_eq!(code(&room.choose(&students[0], &late, 0, 1, 2).await), "ok");
    assert_eq!(
        room.submit(&students[0], late.id).await.unwrap().score.unwrap().0,
        0
    );

    let handed_in = room.start(&students[1], exam).await.unwrap().attempt;
    room.submit(&students[1], handed_in.id).await.unwrap();
    put(
        &room.app,
        &room.teacher,
        exam,
        students[1].user().unwrap().id,
        more,
    )
    .await
    .unwrap();
    assert_eq!(room.stored(handed_in.id).await.state, State::Graded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_beats_the_hand_in_that_races_it() {
    let room = Classroom::open().await;
    let exam = room.exam(1, timed()).await;
    let more = Accommodation {
        extra_seconds: 3_600,
        extra_percent: 0,
    };
    for student in room.students(40).await {
        let attempt = room.start(&student, exam).await.unwrap().attempt;
        room.age(attempt.id, Duration::from_secs(700)).await;
        let extend = put(&room.app, &room.teacher, exam, student.user().unwrap().id, more);
        let (extended, closed) = tokio::join!(extend, close_due(&room.app));
        extended.unwrap();
        closed.unwrap();
        assert_eq!(room.stored(attempt.id).await.state, State::Open);
        room.submit(&student, attempt.id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_races_more_time_has_it() {
    let room = Classroom::open().await;
    let exam = room.exam(1, timed()).await;
    let more = Accommodation {
        extra_seconds: 3_600,
        extra_percent: 0,
    };
    for student in room.students(60).await {
        let extend = put(&room.app, &room.teacher, exam, student.user().unwrap().id, more);
        let (extended, started) = tokio::join!(extend, room.start(&student, exam));
        extended.unwrap();
        let attempt = room.stored(started.unwrap().attempt.id).await;
        assert_eq!(
            (attempt.deadline.unwrap() - attempt.started_at).whole_seconds(),
            4_200
        );
    }
}

#[tokio::test]
async fn a_later_end_moves_all_open_attempts() {
    let room = Classroom::open().await;
    let end = room.app.clock.now() + time::Duration::minutes(5);
    let hard = Changes {
        closes_at: Some(Some(end)),
        hard_end: Some(true),
        ..timed()
    };
    let (exam, students) = (room.exam(1, hard).await, room.students(3).await);
    let mut attempts = Vec::new();
    for student in &students {
        attempts.push(room.start(student, exam).await.unwrap().attempt.id);
    }
    assert_eq!(room.stored(attempts[0]).await.deadline, Some(end));
    let later = end + time::Duration::minutes(1);
    let changes = Changes {
        closes_at: Some(Some(later)),
        ..Changes::default()
    };
    update(&room.app, &room.teacher, exam, changes).await.unwrap();
    for attempt in attempts {
        assert_eq!(room.stored(attempt).await.deadline, Some(later));
    }
}

#[tokio::test]
async fn a_group_has_more_time_and_its_members_the_most_of_all_they_have() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(1, timed()).await, room.students(3).await);
    let id = |place: usize| students[place].user().unwrap().id;
    let mut attempts = Vec::new();
    for student in &students {
        attempts.push(room.start(student, exam).await.unwrap().attempt);
    }
    let extra = async |place: usize| {
        let stored = room.stored(attempts[place].id).await;
        (stored.deadline.unwrap() - stored.started_at).whole_seconds() - 600
    };
    let more = |seconds, percent| Accommodation {
        extra_seconds: seconds,
        extra_percent: percent,
    };
    let group = |name: &str, accommodation, places: &[usize]| Group {
        name: name.into(),
        accommodation,
        user_ids: places.iter().map(|place| id(*place)).collect(),
    };
    let put_group = |group| accommodate_group::put(&room.app, &room.teacher, exam, group);
    put_group(group("dyslexia", more(0, 25), &[0, 1])).await.unwrap();
    put_group(group("late bus", more(60, 10), &[1])).await.unwrap();
    put(&room.app, &room.teacher, exam, id(0), more(0, 50))
        .await
        .unwrap();
    assert_eq!((extra(0).await, extra(1).await, extra(2).await), (300, 210, 0));

    // Who leaves the group loses it; who comes has it, also in attempts that begin later.
    put_group(group("dyslexia", more(0, 25), &[2])).await.unwrap();
    assert_eq!((extra(0).await, extra(1).await, extra(2).await), (300, 120, 150));
    let named: Vec<_> = accommodate_group::list(&room.app, &room.teacher, exam, paging())
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|group| (group.name, group.user_ids))
        .collect();
    assert_eq!(
        named,
        [
            ("dyslexia".to_owned(), vec![id(2)]),
            ("late bus".to_owned(), vec![id(1)])
        ]
    );
    assert_eq!(
        list(&room.app, &room.teacher, exam, paging())
            .await
            .unwrap()
            .items
            .len(),
        1,
        "one has time of their own"
    );
    let delete = |name: &str| accommodate_group::delete(&room.app, &room.teacher, exam, name.into());
    delete("dyslexia").await.unwrap();
    assert_eq!(
        (extra(2).await, code(&delete("dyslexia").await)),
        (0, "not_found")
    );
    let foreign = accommodate_group::put(&room.app, &students[0], exam, group("mine", more(60, 0), &[0]));
    assert_eq!(code(&foreign.await), "permission_denied");
    let audited = "SELECT count(*) FROM exam.audit WHERE action = 'accommodated'";
    assert_eq!(room.count(audited).await, 5);
}
