use question_formats::Format;
use test_support::count_queries;
use typed_id::QuestionId;

use super::classroom::{Classroom, code, single};
use crate::domain::question::Content;
use crate::domain::revision::Draw;
use crate::usecases::Paging;
use crate::usecases::exams::{Changes, create};
use crate::usecases::import_questions::{Source, export_questions, import_questions};
use crate::usecases::publish_exam::publish_exam;
use crate::usecases::questions::{self, Place};

const GIFT: &str = "::Q1:: 2 + 2 = ? { =4 ~5 ~6 }\n\n::Q2:: Water boils at 100 degrees. {TRUE}\n\n// [tag:geo]\nCapital of Türkiye? { =Ankara }\n";

fn gift(text: &str) -> Source {
    Source {
        format: Format::Gift,
        bytes: text.as_bytes().to_vec(),
        dry_run: false,
        skip_faulty: false,
        tags: vec!["imported".into()],
    }
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_can_be_tried() {
    let room = Classroom::open().await;
    let dry = Source {
        dry_run: true,
        ..gift(GIFT)
    };
    let tried = import_questions(&room.app, &room.teacher, room.course, dry)
        .await
        .unwrap();
    assert_eq!((tried.found, tried.imported, tried.question_ids.len()), (3, 3, 0));
    let broken = format!("{GIFT}\n::Q4:: Match. {{ =a -> b =c -> d }}\n");
    let refused = import_questions(&room.app, &room.teacher, room.course, gift(&broken))
        .await
        .unwrap();
    assert_eq!(
        (refused.imported, refused.faults.len(), refused.faults[0].code),
        (0, 1, "unsupported_type")
    );
    assert!(refused.faults[0].line > 5);
    let all = "SELECT count(*) FROM exam.questions";
    assert_eq!(room.count(all).await, 0);
    let partly = Source {
        skip_faulty: true,
        ..gift(&broken)
    };
    let (done, queries) =
        count_queries(import_questions(&room.app, &room.teacher, room.course, partly)).await;
    assert_eq!((done.unwrap().imported, room.count(all).await), (3, 3));
    assert!(queries.count() <= 6, "{:?}", queries.0);
    let student = room.student().await;
    assert_eq!(
        code(&import_questions(&room.app, &student, room.course, gift(GIFT)).await),
        "permission_denied"
    );
}

#[tokio::test]
async fn a_tag_has_a_hundred_characters_at_most() {
    let room = Classroom::open().await;
    let create = async |length: usize| {
        let tagged = Content {
            tags: vec!["ş".repeat(length)],
            ..single("tagged")
        };
        let place = Place::Bank(room.course);
        questions::create(&room.app, &room.teacher, place, None, tagged).await
    };
    assert_eq!(
        (code(&create(100).await), code(&create(101).await)),
        ("ok", "validation_failed")
    );
    let import = async |length: usize| {
        let text = format!(
            "// [tag:{}]\nCapital of Türkiye? {{ =Ankara }}\n",
            "ş".repeat(length)
        );
        import_questions(&room.app, &room.teacher, room.course, gift(&text))
            .await
            .unwrap()
    };
    assert_eq!(import(100).await.imported, 1);
    let refused = import(101).await;
    assert_eq!((refused.imported, refused.faults[0].code), (0, "invalid_tag"));
}

#[tokio::test]
async fn what_is_exported_imports_alike() {
    let room = Classroom::open().await;
    import_questions(&room.app, &room.teacher, room.course, gift(GIFT))
        .await
        .unwrap();
    let first = export_questions(&room.app, &room.teacher, room.course, None)
        .await
        .unwrap();
    room.execute("DELETE FROM exam.question_versions; DELETE FROM exam.questions".into())
        .await;
    let text = String::from_utf8(first.content.clone()).unwrap();
    let again = import_questions(&room.app, &room.teacher, room.course, gift(&text))
        .await
        .unwrap();
    assert_eq!((again.imported, again.faults.len()), (3, 0));
    let second = export_questions(&room.app, &room.teacher, room.course, None)
        .await
        .unwrap();
    assert_eq!(text, String::from_utf8(second.content).unwrap());
}

#[tokio::test]
async fn an_exam_draws_from_the_bank_and_a_published_one_keeps_its_questions() {
    let room = Classroom::open().await;
    let bank = |number: usize| Content {
        tags: vec!["pool".into()],
        ..single(&format!("bank {number}"))
    };
    let changes = Changes {
        title: Some("Drawn".into()),
        draw: Some(vec![Draw {
            tag: "pool".into(),
            count: 2,
        }]),
        ..Changes::default()
    };
    let exam = create(&room.app, &room.teacher, room.course, changes)
        .await
        .unwrap()
        .id();
    let publish = || publish_exam(&room.app, &room.teacher, exam);
    assert_eq!(code(&publish().await), "exam_has_no_questions");
    let mut made = Vec::new();
    for number in 0..3 {
        let place = Place::Bank(room.course);
        made.push(
            questions::create(&room.app, &room.teacher, place, None, bank(number))
                .await
                .unwrap(),
        );
    }
    assert_eq!(publish().await.unwrap().question_count, 2);
    let ada = room.student().await;
    let attempt = room.start(&ada, exam).await.unwrap().attempt;
    assert_eq!(attempt.question_ids.len(), 2);
    // An edit makes a new version; the attempt keeps its own.
    let asked = attempt.question_ids[0];
    let edit = |content: Content| {
        Ok(Content {
            text: "changed".into(),
            ..content
        })
    };
    let changed = questions::update(&room.app, &room.teacher, asked, None, edit)
        .await
        .unwrap();
    assert_eq!(changed.version, 2);
    let revision = room.app.snapshots.revision(exam, attempt.revision).await.unwrap();
    assert_ne!(revision.question(asked).unwrap().content.text, "changed");
    assert_eq!(room.count("SELECT count(*) FROM exam.question_versions").await, 4);
    questions::delete(&room.app, &room.teacher, QuestionId(made[0].id))
        .await
        .unwrap();
    let paging = Paging {
        size: 10,
        token: None,
    };
    let left = questions::of_bank(&room.app, &room.teacher, room.course, Some("pool"), paging)
        .await
        .unwrap();
    assert_eq!(left.items.len(), 2);
}
