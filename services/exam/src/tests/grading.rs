use spreadsheet::Format;
use test_support::count_queries;
use typed_id::QuestionId;

use super::classroom::{Classroom, assemble, code, single};
use crate::domain::answer::Answer;
use crate::domain::attempt::State;
use crate::domain::question::{Body, Content};
use crate::domain::score::{FULL, Score};
use crate::storage::answers::{self, NewAnswer};
use crate::usecases::exams::{Changes, create};
use crate::usecases::export_results::export_results;
use crate::usecases::grade_answer::grade_answer;
use crate::usecases::publish_exam::publish_exam;
use crate::usecases::regrade::regrade;
use crate::usecases::release_results::release_results;
use crate::usecases::results::{get_result, list_mine, list_of_exam, outcome};
use crate::usecases::save_answer::save_answer;
use crate::usecases::statistics::statistics;
use crate::usecases::{Paging, questions};

/// Students who were told of a grade that they may see.
const TOLD: &str = "SELECT count(*) FROM exam.outbox WHERE type = 'exam.attempt_graded'
    AND convert_from(payload, 'UTF8')::jsonb ->> 'is_released' = 'true'";

/// Makes the second option the right one, and the text another.
async fn correct(room: &Classroom, question: QuestionId, text: &'static str) {
    let edit = move |content: Content| {
        let Body::Single { mut options } = content.body.clone() else {
            unreachable!()
        };
        options[0].credit = 0;
        options[1].credit = FULL;
        Ok(Content {
            text: text.into(),
            body: Body::Single { options },
            ..content
        })
    };
    questions::update(&room.app, &room.teacher, question, None, edit)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hand_in_may_be_repeated_and_its_receipt_covers_the_answers() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(2, Changes::default()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    room.choose(&ada, &attempt, 0, 0, 1).await.unwrap();
    let first = room.submit(&ada, attempt.id).await.unwrap();
    let again = room.submit(&ada, attempt.id).await.unwrap();
    assert_eq!(
        (first.receipt.as_ref().unwrap().len(), &first.receipt),
        (32, &again.receipt)
    );
    assert_eq!((first.score, first.passed), (Some(Score(10_000)), Some(true)));
    assert_eq!(room.count("SELECT count(*) FROM exam.outbox").await, 2);
    let outcome = outcome(&room.app, again, false).await.unwrap();
    assert_eq!(
        (outcome.questions.len(), outcome.visible_score()),
        (2, Some(Score(10_000)))
    );
}

#[tokio::test]
async fn keys_stay_closed_until_their_time() {
    let room = Classroom::open().await;
    let end = room.app.clock.now() + time::Duration::hours(1);
    let ada = room.student().await;
    for (policy, open) in [("never", false), ("after_close", false), ("after_submit", true)] {
        let rules = Changes {
            review_policy: Some(policy.into()),
            closes_at: Some(Some(end)),
            ..Changes::default()
        };
        let exam = room.exam(1, rules).await;
        let attempt = room.start(&ada, exam).await.unwrap().attempt;
        let before = get_result(&room.app, &ada, attempt.id).await.unwrap();
        assert!(
            !before.is_open && before.questions.is_empty(),
            "{policy}: the attempt is open"
        );
        room.submit(&ada, attempt.id).await.unwrap();
        let own = get_result(&room.app, &ada, attempt.id).await.unwrap();
        assert_eq!((own.is_open, own.questions.is_empty()), (open, !open), "{policy}");
        assert!(
            get_result(&room.app, &room.teacher, attempt.id)
                .await
                .unwrap()
                .is_open
        );
    }
}

/// The end is not hard: who began before it sits on, and whoever is done must not be able to help them with the keys.
#[tokio::test]
async fn keys_stay_closed_while_somebody_still_sits_and_then_all_are_told() {
    let room = Classroom::open().await;
    let end = room.app.clock.now() + time::Duration::hours(1);
    let rules = Changes {
        review_policy: Some("after_close".into()),
        time_limit_seconds: Some(Some(7_200)),
        closes_at: Some(Some(end)),
        ..Changes::default()
    };
    let (exam, students) = (room.exam(1, rules).await, room.students(2).await);
    let (ada, berk) = (&students[0], &students[1]);
    let (early, late) = (
        room.start(ada, exam).await.unwrap().attempt,
        room.start(berk, exam).await.unwrap().attempt,
    );
    room.choose(ada, &early, 0, 0, 1).await.unwrap();
    room.submit(ada, early.id).await.unwrap();
    room.execute("UPDATE exam.exams SET closes_at = closes_at - interval '2 hours'".into())
        .await;
    room.app.snapshots.forget_exam(exam).await;
    let paging = || Paging { size: 5, token: None };
    let sees = async |student, attempt| {
        let one = get_result(&room.app, student, attempt).await.unwrap();
        let listed = list_mine(&room.app, student, paging()).await.unwrap().items;
        assert_eq!(one.questions.is_empty(), one.visible_score().is_none());
        assert_eq!(
            one.visible_score(),
            listed[0].visible_score(),
            "the list tells what the result tells"
        );
        one.visible_score()
    };
    assert_eq!(sees(ada, early.id).await, None);
    assert_eq!(release_results(&room.app).await.unwrap(), 0);

    room.submit(berk, late.id).await.unwrap();
    assert_eq!(sees(ada, early.id).await, Some(Score(10_000)));
    assert_eq!(
        (room.count(TOLD).await, release_results(&room.app).await.unwrap()),
        (0, 1)
    );
    assert_eq!(
        (release_results(&room.app).await.unwrap(), room.count(TOLD).await),
        (0, 2)
    );
}

#[tokio::test]
async fn an_essay_waits_for_a_person() {
    let room = Classroom::open().await;
    let ada = room.student().await;
    let named = Changes {
        title: Some("Essay".into()),
        ..Changes::default()
    };
    let exam = create(&room.app, &room.teacher, room.course, named)
        .await
        .unwrap()
        .id();
    let essay = Content {
        body: Body::Essay,
        points: Score(5 * i64::from(FULL)),
        ..single("essay")
    };
    let question = room.question(exam, essay).await;
    publish_exam(&room.app, &room.teacher, exam).await.unwrap();
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    let text = Answer {
        text: "Long ago ...".into(),
        ..Answer::default()
    };
    save_answer(&room.app, &ada, attempt.id, question, 1, text)
        .await
        .unwrap();
    let early = grade_answer(
        &room.app,
        &room.teacher,
        attempt.id,
        question,
        Score(1),
        String::new(),
    )
    .await;
    assert_eq!(code(&early), "attempt_open");
    let submitted = room.submit(&ada, attempt.id).await.unwrap();
    assert_eq!((submitted.state, submitted.score), (State::Submitted, None));
    let grade = |caller, points| {
        grade_answer(
            &room.app,
            caller,
            attempt.id,
            question,
            Score(points * i64::from(FULL)),
            "well".into(),
        )
    };
    assert_eq!(code(&grade(&room.teacher, 6).await), "validation_failed");
    assert_eq!(code(&grade(&ada, 5).await), "not_found");
    let graded = grade(&room.teacher, 4).await.unwrap();
    assert_eq!(
        (graded.state, graded.score, graded.passed),
        (State::Graded, Some(Score(40_000)), Some(true))
    );
    assert_eq!(
        room.count("SELECT count(*) FROM exam.audit WHERE action = 'graded'")
            .await,
        1
    );
}

#[tokio::test]
async fn what_was_done_to_scores_is_only_added_to() {
    let room = Classroom::open().await;
    let entry = "INSERT INTO exam.audit (id, exam_id, actor_id, action, detail, at)
                 VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'graded', '{}', now())";
    let db = room.app.db.primary();
    sqlx::query(entry).execute(db).await.unwrap();
    for sql in [
        "DELETE FROM exam.audit",
        "UPDATE exam.audit SET action = 'x'",
        "TRUNCATE exam.audit",
    ] {
        let refused = sqlx::query(sql).execute(db).await;
        assert!(
            refused.unwrap_err().to_string().contains("only added to"),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_regrade_takes_the_present_key_and_is_tried_first() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(1, Changes::default()).await, room.students(3).await);
    let mut question = QuestionId(typed_id::new_uuid(room.app.clock.now()));
    for (place, student) in students.iter().enumerate() {
        let attempt = room.start(student, exam).await.unwrap().attempt;
        question = attempt.question_ids[0];
        room.choose(student, &attempt, 0, place, 1).await.unwrap();
        room.submit(student, attempt.id).await.unwrap();
    }
    correct(&room, question, "corrected").await;
    let scores = "SELECT sum(score * number)::bigint FROM exam.attempts";
    let before = room.count(scores).await;
    let tried = regrade(&room.app, &room.teacher, exam, true).await.unwrap();
    assert_eq!(
        (tried.attempts, tried.changed, room.count(scores).await),
        (3, 2, before)
    );
    let done = regrade(&room.app, &room.teacher, exam, false).await.unwrap();
    assert_eq!(done.changed, 2);
    let (old, new): (Vec<_>, Vec<_>) = done
        .changes
        .iter()
        .map(|change| (change.old.0, change.new.0))
        .unzip();
    assert_eq!(old, [Some(Score(10_000)), Some(Score(0))]);
    assert_eq!(new, [Some(Score(0)), Some(Score(10_000))]);
    assert_eq!(
        regrade(&room.app, &room.teacher, exam, false)
            .await
            .unwrap()
            .changed,
        0
    );
    assert_eq!(
        room.count("SELECT count(*) FROM exam.audit WHERE action = 'regraded'")
            .await,
        2
    );
    assert_eq!(
        code(&regrade(&room.app, &students[0], exam, true).await),
        "permission_denied"
    );
}

#[tokio::test]
async fn a_regrade_tells_of_results_that_were_released_elsewhere() {
    let room = Classroom::open().await;
    let end = room.app.clock.now() + time::Duration::hours(1);
    let rules = Changes {
        review_policy: Some("after_close".into()),
        closes_at: Some(Some(end)),
        ..Changes::default()
    };
    let (exam, ada) = (room.exam(1, rules).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    room.choose(&ada, &attempt, 0, 1, 1).await.unwrap();
    room.submit(&ada, attempt.id).await.unwrap();
    correct(&room, attempt.question_ids[0], "corrected").await;
    room.execute("UPDATE exam.exams SET closes_at = closes_at - interval '2 hours'".into())
        .await;
    // What this instance believes for the next second.
    room.app.snapshots.forget_exam(exam).await;
    assert!(!room.app.snapshots.exam(exam).await.unwrap().tells_results());
    let elsewhere = assemble(room.app.db.clone());
    assert_eq!(
        (release_results(&elsewhere).await.unwrap(), room.count(TOLD).await),
        (1, 1)
    );
    let done = regrade(&room.app, &room.teacher, exam, false).await.unwrap();
    assert_eq!((done.changed, room.count(TOLD).await), (1, 2));
}

#[tokio::test]
async fn a_review_shows_questions_as_they_were_graded() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(3, Changes::default()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    for question in 0..3 {
        room.choose(&ada, &attempt, question, 1, 1).await.unwrap();
    }
    room.submit(&ada, attempt.id).await.unwrap();
    for id in &attempt.question_ids {
        correct(&room, *id, "as graded").await;
    }
    let done = regrade(&room.app, &room.teacher, exam, false).await.unwrap();
    assert_eq!(done.changed, 1);
    for id in &attempt.question_ids {
        correct(&room, *id, "of today").await;
    }
    questions::delete(&room.app, &room.teacher, attempt.question_ids[2])
        .await
        .unwrap();
    let (seen, queries) = count_queries(get_result(&room.app, &ada, attempt.id)).await;
    let seen = seen.unwrap();
    let shown: Vec<_> = seen
        .questions
        .iter()
        .map(|one| (one.question.version, one.question.content.text.as_str()))
        .collect();
    assert_eq!(shown, [(2, "as graded"); 3]);
    assert_eq!(seen.visible_score(), Some(Score(30_000)));
    assert!(queries.count() <= 7, "{:?}", queries.0);
}

#[tokio::test]
async fn an_open_attempt_tells_what_is_answered_so_far() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(3, Changes::default()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    for question in 0..2 {
        room.choose(&ada, &attempt, question, 0, 1).await.unwrap();
    }
    let taken_back = Answer::default();
    save_answer(
        &room.app,
        &ada,
        attempt.id,
        attempt.question_ids[1],
        2,
        taken_back,
    )
    .await
    .unwrap();
    let own = get_result(&room.app, &ada, attempt.id).await.unwrap();
    let paging = Paging { size: 3, token: None };
    let all = list_of_exam(&room.app, &room.teacher, exam, None, paging)
        .await
        .unwrap();
    assert_eq!((own.attempt.answered, all.items[0].attempt.answered), (1, 1));
}

#[tokio::test]
async fn what_is_blank_is_the_same_to_the_database() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(3, Changes::default()).await, room.student().await);
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    let blank: String = ('\0'..=char::MAX).filter(|c| c.is_whitespace()).collect();
    assert!(blank.contains('\u{a0}'));
    let texts = [blank, "\u{200b}".into(), "\u{a0}x".into()];
    let answers: Vec<_> = texts
        .into_iter()
        .zip(&attempt.question_ids)
        .map(|(text, question)| NewAnswer {
            attempt_id: attempt.id,
            question_id: *question,
            sequence: 1,
            answer: Answer {
                text,
                ..Answer::default()
            },
            arrived_at: room.app.clock.now(),
        })
        .collect();
    answers::save(room.app.db.repeatable(), &answers, 5.0)
        .await
        .unwrap();
    let stored = answers::of_attempts(room.app.db.primary(), &[attempt.id.0])
        .await
        .unwrap();
    let counted = answers::answered_of(room.app.db.primary(), &[attempt.id.0])
        .await
        .unwrap();
    assert_eq!((stored.len(), answers::answered(&stored)), (3, 2));
    assert_eq!(counted[&attempt.id], 2);
}

#[tokio::test]
async fn items_are_analysed_and_results_exported() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(2, Changes::default()).await, room.students(4).await);
    for (place, student) in students.iter().enumerate() {
        let attempt = room.start(student, exam).await.unwrap().attempt;
        // Half of them know everything, the others nothing.
        for question in 0..2 {
            room.choose(student, &attempt, question, usize::from(place >= 2) * 3, 1)
                .await
                .unwrap();
        }
        room.submit(student, attempt.id).await.unwrap();
    }
    let analysis = statistics(&room.app, &room.teacher, exam).await.unwrap();
    assert_eq!((analysis.attempts, analysis.summary.students), (4, 4));
    assert!((analysis.summary.mean_percent.unwrap() - 50.0).abs() < 1e-9);
    for item in &analysis.items {
        assert!((item.item.facility.unwrap() - 0.5).abs() < 1e-9);
        assert!((item.item.discrimination.unwrap() - 1.0).abs() < 1e-9);
        let mut chosen: Vec<i64> = item.chosen.values().copied().collect();
        chosen.sort_unstable();
        assert_eq!(chosen, [2, 2]);
    }
    let paging = Paging { size: 3, token: None };
    let (page, queries) = count_queries(list_of_exam(&room.app, &room.teacher, exam, None, paging)).await;
    assert!(queries.count() <= 5, "{:?}", queries.0);
    let page = page.unwrap();
    assert_eq!((page.items.len(), page.next_page_token.is_empty()), (3, false));
    let csv = export_results(&room.app, &room.teacher, exam, Format::Csv)
        .await
        .unwrap();
    assert_eq!(String::from_utf8(csv.content).unwrap().lines().count(), 5);
    assert_eq!(
        code(&export_results(&room.app, &students[0], exam, Format::Csv).await),
        "permission_denied"
    );
}
