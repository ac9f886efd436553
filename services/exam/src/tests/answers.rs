use std::time::Duration;

use futures::future::join_all;
use rand::Rng;
use request_context::RequestContext;

use super::classroom::{Classroom, code, repetitions};
use crate::domain::answer::Answer;
use crate::domain::attempt::State;
use crate::storage::answers;
use crate::usecases::exams::Changes;
use crate::usecases::save_answer::save_answer;

#[tokio::test]
async fn an_older_answer_never_overwrites_and_hears_what_is_stored() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(2, Changes::default()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    let first = room.option(&attempt, attempt.question_ids[0], 1).await;
    let choose = async |choice, sequence| {
        let saved = room.choose(&ada, &attempt, 0, choice, sequence).await.unwrap();
        (saved.sequence, saved.instead)
    };
    assert_eq!(choose(1, 5).await, (5, None));
    assert_eq!(choose(2, 3).await, (5, Some(first.clone())));
    // Another tab that has counted to the same.
    assert_eq!(choose(2, 5).await, (5, Some(first)));
    // The same again, as its reply was lost.
    assert_eq!(choose(1, 5).await, (5, None));
    let stored = answers::of_attempts(room.app.db.primary(), &[attempt.id.0])
        .await
        .unwrap();
    let expected = room.option(&attempt, attempt.question_ids[0], 1).await;
    assert_eq!((stored.len(), &stored[0].answer), (1, &expected));
}

#[tokio::test]
async fn an_answer_has_to_fit_its_question() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(1, Changes::default()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    let question = attempt.question_ids[0];
    let right = room.option(&attempt, question, 0).await.option_ids[0];
    for answer in [
        Answer {
            number: Some(1.0),
            ..Answer::default()
        },
        Answer {
            text: "text".into(),
            ..Answer::default()
        },
        Answer {
            option_ids: vec![attempt.id.0],
            ..Answer::default()
        },
        Answer {
            option_ids: vec![right, right],
            ..Answer::default()
        },
    ] {
        let saved = save_answer(&room.app, &ada, attempt.id, question, 1, answer).await;
        assert_eq!(code(&saved), "validation_failed");
    }
    let foreign = save_answer(
        &room.app,
        &ada,
        attempt.id,
        typed_id::QuestionId(attempt.id.0),
        1,
        Answer::default(),
    );
    assert_eq!(code(&foreign.await), "not_found");
}

#[tokio::test]
async fn after_the_hand_in_or_the_deadline_nothing_is_taken() {
    let room = Classroom::open().await;
    let timed = Changes {
        time_limit_seconds: Some(Some(60)),
        ..Changes::default()
    };
    let (exam, students) = (room.exam(1, timed).await, room.students(3).await);
    let [ada, berk, can] = &students[..] else {
        unreachable!()
    };
    let attempt = room.start(ada, exam).await.unwrap().attempt;
    room.submit(ada, attempt.id).await.unwrap();
    assert_eq!(code(&room.choose(ada, &attempt, 0, 0, 1).await), "attempt_closed");

    // In the grace period, and past it.
    let attempt = room.start(berk, exam).await.unwrap().attempt;
    room.age(attempt.id, Duration::from_secs(62)).await;
    assert_eq!(code(&room.choose(berk, &attempt, 0, 0, 1).await), "ok");
    room.age(attempt.id, Duration::from_secs(5)).await;
    assert_eq!(
        code(&room.choose(berk, &attempt, 0, 0, 2).await),
        "attempt_closed"
    );

    // It arrived in time and was held up inside; and one that lies about its arrival.
    let attempt = room.start(can, exam).await.unwrap().attempt;
    room.age(attempt.id, Duration::from_secs(70)).await;
    let arrived = |seconds: i64| RequestContext {
        arrived_at: Some(room.app.clock.now() - time::Duration::seconds(seconds)),
        ..RequestContext::default()
    };
    let saved = request_context::scope(arrived(8), room.choose(can, &attempt, 0, 0, 1)).await;
    assert_eq!(code(&saved), "ok");
    room.age(attempt.id, Duration::from_mins(1)).await;
    let saved = request_context::scope(arrived(3_600), room.choose(can, &attempt, 0, 0, 2)).await;
    assert_eq!(code(&saved), "attempt_closed");
}

/// Each save is counted in the receipt or refused. `SC_SUBMIT_RACES` says how many pairs; the full run of the requirement is 10,000.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_races_the_hand_in_is_counted_or_refused() {
    let pairs = repetitions("SC_SUBMIT_RACES", 400);
    let room = Classroom::open().await;
    let exam = room.exam(1, Changes::default()).await;
    let (mut counted, mut refused) = (0, 0);
    for students in room.students(pairs).await.chunks(50) {
        let races = students.iter().map(|student| async {
            let attempt = room.start(student, exam).await.unwrap().attempt;
            let (first, second) = {
                let mut random = rand::rng();
                (random.random_range(0..5_000), random.random_range(0..5_000))
            };
            let save = async {
                tokio::time::sleep(Duration::from_micros(first)).await;
                room.choose(student, &attempt, 0, 0, 1).await
            };
            let submit = async {
                tokio::time::sleep(Duration::from_micros(second)).await;
                room.submit(student, attempt.id).await.unwrap()
            };
            let (saved, submitted) = tokio::join!(save, submit);
            (saved, submitted)
        });
        for (saved, submitted) in join_all(races).await {
            assert!(submitted.state.is_over());
            match code(&saved) {
                "ok" => {
                    assert_eq!((submitted.answered, submitted.score.unwrap().0), (1, 10_000));
                    counted += 1;
                }
                "attempt_closed" => {
                    assert_eq!((submitted.answered, submitted.score.unwrap().0), (0, 0));
                    refused += 1;
                }
                other => panic!("{other}"),
            }
        }
    }
    assert!(counted > 0 && refused > 0, "the race never went both ways");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_answers_share_a_commit_and_each_is_stored() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(4, Changes::default()).await, room.students(100).await);
    let mut attempts = Vec::new();
    for student in &students {
        attempts.push(room.start(student, exam).await.unwrap().attempt);
    }
    let saves = students.iter().zip(&attempts).flat_map(|(student, attempt)| {
        let room = &room;
        (0..4).map(
            move |question| async move { room.choose(student, attempt, question, question % 4, 1).await },
        )
    });
    let saved = join_all(saves).await;
    assert!(saved.iter().all(|one| one.as_ref().unwrap().sequence == 1));
    assert_eq!(room.count("SELECT count(*) FROM exam.answers").await, 400);
    for (student, attempt) in students.iter().zip(&attempts) {
        let done = room.submit(student, attempt.id).await.unwrap();
        assert_eq!(
            (done.state, done.answered, done.score.unwrap().0),
            (State::Graded, 4, 10_000)
        );
    }
}

/// What group commit is worth: answers and commits a second without and with it, in one run.
/// `cargo test -p exam --release -- --ignored --nocapture what_group_commit_is_worth`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_group_commit_is_worth() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(4, Changes::default()).await, room.students(64).await);
    let mut attempts = Vec::new();
    for student in &students {
        attempts.push(room.start(student, exam).await.unwrap().attempt);
    }
    let commits = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    for max_batch in [1, 500, 1, 500] {
        let app = super::classroom::assemble_with(room.app.db.clone(), max_batch);
        let (before, began) = (room.count(commits).await, std::time::Instant::now());
        let savers = students.iter().zip(&attempts).map(|(student, attempt)| {
            let (app, began) = (&app, &began);
            async move {
                let mut saved = 0;
                while began.elapsed() < Duration::from_secs(3) {
                    saved += 1;
                    let sequence = i32::try_from(began.elapsed().as_micros()).unwrap();
                    let question = attempt.question_ids[saved % 4];
                    save_answer(app, student, attempt.id, question, sequence, Answer::default())
                        .await
                        .unwrap();
                }
                saved
            }
        });
        let saved: usize = join_all(savers).await.into_iter().sum();
        let seconds = began.elapsed().as_secs_f64();
        let commits = room.count(commits).await - before;
        #[expect(clippy::print_stdout, reason = "a measurement")]
        {
            println!(
                "max_batch {max_batch:>3}: {:.0} answers/s, {:.0} commits/s",
                saved as f64 / seconds,
                commits as f64 / seconds
            );
        }
    }
}
