use test_support::count_queries;
use typed_id::{ExamId, QuestionId};

use super::classroom::{Classroom, code, single};
use crate::domain::answer::Answer;
use crate::domain::attempt::State;
use crate::domain::question::{Body, Content};
use crate::domain::score::{FULL, Score};
use crate::usecases::accommodate_group;
use crate::usecases::exams::{Changes, create, update};
use crate::usecases::grade_answer::grade_answer;
use crate::usecases::list_audit::list_audit;
use crate::usecases::publish_exam::publish_exam;
use crate::usecases::results::{get_result, list_mine, list_of_exam};
use crate::usecases::save_answer::save_answer;
use crate::usecases::statistics::statistics;
use crate::usecases::{Paging, get_attempt, questions};

fn of(size: i64) -> Paging {
    Paging { size, token: None }
}

fn many(scoring: &str) -> Changes {
    Changes {
        max_attempts: Some(0),
        attempt_scoring: Some(scoring.into()),
        ..Changes::default()
    }
}

/// One attempt with so many right answers of two.
async fn sit(room: &Classroom, student: &access_token::Caller, exam: ExamId, right: usize) {
    let attempt = room.start(student, exam).await.unwrap().attempt;
    for question in 0..2 {
        let option = usize::from(question >= right);
        room.choose(student, &attempt, question, option, 1).await.unwrap();
    }
    room.submit(student, attempt.id).await.unwrap();
}

#[tokio::test]
async fn the_policy_of_the_exam_counts_everywhere() {
    let room = Classroom::open().await;
    let (exam, students) = (room.exam(2, many("best")).await, room.students(2).await);
    let (ada, berk) = (&students[0], &students[1]);
    // Ada: 0 %, 100 %, 50 %. Berk: 0 %.
    for right in [0, 2, 1] {
        sit(&room, ada, exam, right).await;
    }
    sit(&room, berk, exam, 0).await;
    for (scoring, points, passed, counting, mean, pass_rate) in [
        ("best", 20_000, true, vec![2], 50.0, 0.5),
        ("last", 10_000, true, vec![3], 25.0, 0.5),
        ("first", 0, false, vec![1], 0.0, 0.0),
        ("average", 10_000, true, vec![3, 2, 1], 25.0, 0.5),
    ] {
        update(&room.app, &room.teacher, exam, many(scoring))
            .await
            .unwrap();
        let mine = list_mine(&room.app, ada, of(10)).await.unwrap().items;
        let all = list_of_exam(&room.app, &room.teacher, exam, None, of(10))
            .await
            .unwrap()
            .items;
        let id = ada.user().unwrap().id;
        let hers: Vec<_> = all.iter().filter(|row| row.attempt.user_id == id).collect();
        assert_eq!((mine.len(), hers.len(), all.len()), (3, 3, 4));
        let mut own_scores: Vec<_> = hers.iter().filter_map(|row| row.visible_score()).collect();
        own_scores.sort_unstable();
        assert_eq!(
            own_scores,
            [Score(0), Score(10_000), Score(20_000)],
            "each attempt keeps its own score"
        );
        for row in mine.iter().chain(hers) {
            let result = row.result.as_ref().unwrap();
            assert_eq!(
                (result.score, result.passed),
                (Score(points), passed),
                "{scoring}"
            );
            assert_eq!(
                result.counting.contains(&row.attempt.id),
                counting.contains(&row.attempt.number),
                "{scoring}"
            );
            let one = get_result(&room.app, ada, row.attempt.id).await.unwrap();
            assert_eq!(one.result, row.result, "{scoring}");
        }
        let analysis = statistics(&room.app, &room.teacher, exam).await.unwrap();
        assert_eq!(
            (analysis.attempts, analysis.summary.students),
            (counting.len() + 1, 2),
            "{scoring}: no student counts twice"
        );
        assert!(
            (analysis.summary.mean_percent.unwrap() - mean).abs() < 1e-9,
            "{scoring}"
        );
        assert!(
            (analysis.summary.median_percent.unwrap() - mean).abs() < 1e-9,
            "{scoring}"
        );
        assert!(
            (analysis.summary.pass_rate.unwrap() - pass_rate).abs() < 1e-9,
            "{scoring}"
        );
        for item in &analysis.items {
            assert_eq!(item.item.attempts, counting.len() as i64 + 1, "{scoring}");
        }
    }
    let (page, queries) = count_queries(list_mine(&room.app, ada, of(2))).await;
    assert_eq!(page.unwrap().items.len(), 2);
    assert!(queries.count() <= 3, "{:?}", queries.0);
    // Each change of the rule moved scores, which is written down: the first one changed nothing.
    let page = list_audit(&room.app, &room.teacher, exam, of(2)).await.unwrap();
    let actions: Vec<_> = page.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["scoring_changed", "scoring_changed"]);
    assert_eq!(page.items[0].detail["to"]["attempt_scoring"], "average");
    let next = Paging {
        size: 2,
        token: Some(page.next_page_token),
    };
    let rest = list_audit(&room.app, &room.teacher, exam, next).await.unwrap();
    assert_eq!((rest.items.len(), rest.next_page_token.as_str()), (1, ""));
    assert_eq!(rest.items[0].detail["to"]["attempt_scoring"], "last");
    assert_eq!(
        code(&list_audit(&room.app, ada, exam, of(2)).await),
        "permission_denied"
    );
}

#[tokio::test]
async fn a_final_score_is_closed_as_long_as_the_scores_are() {
    let room = Classroom::open().await;
    let rules = Changes {
        review_policy: Some("never".into()),
        ..many("best")
    };
    let (exam, ada) = (room.exam(2, rules).await, room.student().await);
    sit(&room, &ada, exam, 2).await;
    let mine = list_mine(&room.app, &ada, of(10)).await.unwrap().items;
    assert!(mine[0].result.is_none());
    let own = get_result(&room.app, &ada, mine[0].attempt.id).await.unwrap();
    assert!(own.result.is_none());
    let all = list_of_exam(&room.app, &room.teacher, exam, None, of(10)).await;
    assert!(all.unwrap().items[0].result.is_some());
}

#[tokio::test]
async fn what_waits_for_a_grade_is_found() {
    let room = Classroom::open().await;
    let named = Changes {
        title: Some("Essay".into()),
        ..many("last")
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
    let students = room.students(3).await;
    let mut attempts = Vec::new();
    for student in &students {
        let attempt = room.start(student, exam).await.unwrap().attempt;
        let text = Answer {
            text: "Long ago ...".into(),
            ..Answer::default()
        };
        save_answer(&room.app, student, attempt.id, question, 1, text)
            .await
            .unwrap();
        room.submit(student, attempt.id).await.unwrap();
        attempts.push(attempt.id);
    }
    let found = async |state| {
        let page = list_of_exam(&room.app, &room.teacher, exam, state, of(10))
            .await
            .unwrap();
        page.items.iter().map(|row| row.attempt.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Some(State::Submitted)).await.len(), 3);
    grade_answer(
        &room.app,
        &room.teacher,
        attempts[1],
        question,
        Score(40_000),
        String::new(),
    )
    .await
    .unwrap();
    assert_eq!(found(Some(State::Submitted)).await, [attempts[2], attempts[0]]);
    assert_eq!(found(Some(State::Graded)).await, [attempts[1]]);
    assert_eq!(
        (found(Some(State::Open)).await.len(), found(None).await.len()),
        (0, 3)
    );
    // A page of one filter is none of another.
    let page = list_of_exam(&room.app, &room.teacher, exam, Some(State::Submitted), of(1)).await;
    let token = Paging {
        size: 1,
        token: Some(page.unwrap().next_page_token),
    };
    assert_ne!(
        code(&list_of_exam(&room.app, &room.teacher, exam, None, token).await),
        "ok"
    );
    let audit = list_audit(&room.app, &room.teacher, exam, of(10))
        .await
        .unwrap()
        .items;
    assert_eq!(
        (audit.len(), audit[0].action.as_str(), audit[0].attempt_id),
        (1, "graded", Some(attempts[1].0))
    );
    assert_eq!(audit[0].actor_id, room.teacher.user().unwrap().id.0);
}

#[tokio::test]
async fn versions_of_a_question_are_read_by_its_staff() {
    let room = Classroom::open().await;
    let exam = room.exam(1, Changes::default()).await;
    let id = room.question(exam, single("first")).await;
    for text in ["second", "third"] {
        let edit = move |content: Content| {
            Ok(Content {
                text: text.into(),
                ..content
            })
        };
        questions::update(&room.app, &room.teacher, id, None, edit)
            .await
            .unwrap();
    }
    let present = questions::get(&room.app, &room.teacher, id).await.unwrap();
    assert_eq!((present.version, present.content.0.text.as_str()), (3, "third"));
    let page = questions::versions(&room.app, &room.teacher, id, of(2))
        .await
        .unwrap();
    let next = Paging {
        size: 2,
        token: Some(page.next_page_token),
    };
    let rest = questions::versions(&room.app, &room.teacher, id, next)
        .await
        .unwrap();
    let told: Vec<_> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|version| (version.version, version.content.0.text.as_str()))
        .collect();
    assert_eq!(told, [(3, "third"), (2, "second"), (1, "first")]);
    assert!(rest.next_page_token.is_empty());
    let student = room.student().await;
    assert_eq!(code(&questions::get(&room.app, &student, id).await), "not_found");
    assert_eq!(
        code(&questions::versions(&room.app, &student, id, of(2)).await),
        "not_found"
    );
    questions::delete(&room.app, &room.teacher, id).await.unwrap();
    assert_eq!(
        code(&questions::get(&room.app, &room.teacher, id).await),
        "not_found"
    );
    let unknown = QuestionId::new(room.app.clock.now());
    assert_eq!(
        code(&questions::get(&room.app, &room.teacher, unknown).await),
        "not_found"
    );
}

#[tokio::test]
async fn lists_come_in_pages() {
    let room = Classroom::open().await;
    let (exam, ada) = (room.exam(2, many("best")).await, room.student().await);
    for _ in 0..3 {
        sit(&room, &ada, exam, 1).await;
    }
    let (mut token, mut numbers) = (None, Vec::new());
    loop {
        let paging = Paging { size: 2, token };
        let (_, page) = get_attempt::list_mine(&room.app, &ada, exam, paging)
            .await
            .unwrap();
        numbers.extend(page.items.iter().map(|attempt| attempt.number));
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
    }
    assert_eq!(numbers, [3, 2, 1]);
    for name in ["c", "a", "b"] {
        let group = crate::storage::accommodation_groups::Group {
            name: name.into(),
            accommodation: crate::domain::deadline::Accommodation::default(),
            user_ids: Vec::new(),
        };
        accommodate_group::put(&room.app, &room.teacher, exam, group)
            .await
            .unwrap();
    }
    let first = accommodate_group::list(&room.app, &room.teacher, exam, of(2))
        .await
        .unwrap();
    let next = Paging {
        size: 2,
        token: Some(first.next_page_token),
    };
    let rest = accommodate_group::list(&room.app, &room.teacher, exam, next)
        .await
        .unwrap();
    let names: Vec<_> = first
        .items
        .iter()
        .chain(&rest.items)
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}
