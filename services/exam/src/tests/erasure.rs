use access_token::Caller;
use problem::Problem;
use typed_id::{ExamId, UserId};

use super::classroom::{Classroom, code, single};
use crate::domain::answer::Answer;
use crate::domain::attempt::State;
use crate::domain::deadline::Accommodation;
use crate::domain::question::{Body, Content};
use crate::domain::score::{FULL, Score};
use crate::personal_data::PERSONAL_DATA;
use crate::storage::accommodation_groups::Group;
use crate::storage::attempts::Attempt;
use crate::usecases::accommodate::put;
use crate::usecases::close_due::close_due;
use crate::usecases::exams::{Changes, create};
use crate::usecases::grade_answer::grade_answer;
use crate::usecases::publish_exam::publish_exam;
use crate::usecases::save_answer::{Saved, save_answer};
use crate::usecases::{ChangeError, accommodate_group};

/// A published exam of a single choice and an essay, that may be taken again.
async fn exam_with_essay(room: &Classroom) -> ExamId {
    let changes = Changes {
        title: Some("Essay".into()),
        max_attempts: Some(0),
        ..Changes::default()
    };
    let exam = create(&room.app, &room.teacher, room.course, changes)
        .await
        .unwrap()
        .id();
    let essay = Content {
        body: Body::Essay,
        ..single("essay")
    };
    room.question(exam, single("choice")).await;
    room.question(exam, essay).await;
    publish_exam(&room.app, &room.teacher, exam).await.unwrap();
    exam
}

async fn write(
    room: &Classroom,
    student: &Caller,
    attempt: &Attempt,
    sequence: i32,
) -> Result<Saved, Problem> {
    let answer = Answer {
        text: "Long ago ...".into(),
        ..Answer::default()
    };
    save_answer(
        &room.app,
        student,
        attempt.id,
        attempt.question_ids[1],
        sequence,
        answer,
    )
    .await
}

/// An open attempt with both questions answered, the first one right.
async fn sit(room: &Classroom, student: &Caller, exam: ExamId) -> Attempt {
    let attempt = room.start(student, exam).await.unwrap().attempt;
    room.choose(student, &attempt, 0, 0, 1).await.unwrap();
    write(room, student, &attempt, 1).await.unwrap();
    attempt
}

async fn comment(room: &Classroom, attempt: &Attempt, text: &str) -> Attempt {
    grade_answer(
        &room.app,
        &room.teacher,
        attempt.id,
        attempt.question_ids[1],
        Score(i64::from(FULL)),
        text.into(),
    )
    .await
    .unwrap()
}

/// Answers with a text, and comments.
async fn words(room: &Classroom) -> (i64, i64) {
    let texts = "SELECT count(*) FROM exam.answers WHERE answer ? 'text'";
    let comments = "SELECT count(*) FROM exam.grades WHERE comment <> ''";
    (room.count(texts).await, room.count(comments).await)
}

async fn erase(room: &Classroom, id: UserId) {
    let erased = room.app.db.write(move |mut tx| async move {
        personal_data::erase(&mut tx, id, 2, PERSONAL_DATA).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    erased.await.unwrap();
}

/// Does something that comes to a lock of an erasure.
async fn while_erased<T>(room: &Classroom, id: UserId, work: impl Future<Output = T>) -> T {
    room.while_locked(
        move |tx| {
            Box::pin(async move {
                personal_data::erase(tx, id, 2, PERSONAL_DATA).await?;
                Ok::<_, ChangeError>(())
            })
        },
        work,
    )
    .await
}

#[tokio::test]
async fn who_is_erased_leaves_scores_and_no_words() {
    let room = Classroom::open().await;
    let (exam, students) = (exam_with_essay(&room).await, room.students(2).await);
    let (ada, berk) = (&students[0], &students[1]);
    let id = ada.user().unwrap().id;
    sit(&room, berk, exam).await;
    let graded = sit(&room, ada, exam).await;
    room.submit(ada, graded.id).await.unwrap();
    comment(&room, &graded, "well told").await;
    let open = sit(&room, ada, exam).await;
    let held = personal_data::export(&room.app.db, id, PERSONAL_DATA)
        .await
        .unwrap();
    assert_eq!(held["comments"][0]["comment"], "well told");
    assert_eq!(words(&room).await, (3, 1));

    erase(&room, id).await;
    assert_eq!(words(&room).await, (1, 0), "those of others stay");
    // An access token is good for a while, and so is a page that a teacher has open.
    assert_eq!(code(&write(&room, ada, &open, 2).await), "attempt_closed");
    close_due(&room.app).await.unwrap();
    let ended = room.stored(open.id).await;
    assert_eq!(
        (ended.state, ended.score),
        (State::Graded, Some(Score(10_000))),
        "what was chosen counts"
    );
    assert_eq!(code(&room.start(ada, exam).await), "not_found");
    let more = Accommodation {
        extra_seconds: 3_600,
        extra_percent: 0,
    };
    let given = put(&room.app, &room.teacher, exam, id, more).await;
    assert_eq!(code(&given), "unknown_user");
    let group = Group {
        name: "evening".into(),
        user_ids: vec![id, berk.user().unwrap().id],
        accommodation: more,
    };
    accommodate_group::put(&room.app, &room.teacher, exam, group)
        .await
        .unwrap();
    let members = "SELECT count(*) FROM exam.accommodation_members";
    assert_eq!(room.count(members).await, 1);
    assert_eq!(room.stored(open.id).await.state, State::Graded);
    assert_eq!(
        comment(&room, &graded, "an afterthought").await.score,
        Some(Score(20_000))
    );
    assert_eq!(words(&room).await, (1, 0));
}

#[tokio::test]
async fn comments_are_told_in_their_time() {
    let room = Classroom::open().await;
    let (exam, ada) = (exam_with_essay(&room).await, room.student().await);
    let attempt = sit(&room, &ada, exam).await;
    room.submit(&ada, attempt.id).await.unwrap();
    comment(&room, &attempt, "well told").await;
    room.execute("UPDATE exam.exams SET review_policy = 'never'".into())
        .await;
    let held = personal_data::export(&room.app.db, ada.user().unwrap().id, PERSONAL_DATA).await;
    assert!(held.unwrap()["comments"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_races_the_erasure_brings_no_words_back() {
    let room = Classroom::open().await;
    let (exam, students) = (exam_with_essay(&room).await, room.students(2).await);
    let id = |place: usize| students[place].user().unwrap().id;
    let open = sit(&room, &students[0], exam).await;
    let late = while_erased(&room, id(0), write(&room, &students[0], &open, 2)).await;
    assert_eq!(code(&late), "attempt_closed");

    let waits = sit(&room, &students[1], exam).await;
    room.submit(&students[1], waits.id).await.unwrap();
    let graded = while_erased(&room, id(1), comment(&room, &waits, "well told")).await;
    assert_eq!(graded.state, State::Graded);
    assert_eq!(words(&room).await, (0, 0));
}
