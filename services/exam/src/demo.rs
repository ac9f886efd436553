//! The demo exam: open now, the same everywhere.

use service_runtime::demo::{TEACHER, course, thing};
use sqlx::types::Json;
use typed_id::{ExamId, QuestionId};
use uuid::Uuid;

use crate::app::Exams;
use crate::domain::exchange::true_false;
use crate::domain::question::{Body, Choice, Content, NumericKey, TextKey, equal_shares};
use crate::domain::score::{FULL, Score};
use crate::storage::exams::{self, Exam};
use crate::storage::questions::{self, New};
use crate::usecases::ChangeError;
use crate::usecases::publish_exam::publish;

const EXAM: u32 = 9_000;

pub async fn seed(app: &Exams) -> anyhow::Result<()> {
    let now = app.clock.now();
    let id = ExamId(thing(EXAM));
    let seeded = app.db.write(move |mut tx| async move {
        if exams::by_id(&mut *tx, id).await?.is_some() {
            return Ok::<_, ChangeError>(tx.rollback(()).await?);
        }
        let exam = Exam {
            id: id.0,
            course_id: course(1).0,
            title: "Limit ve türev: deneme sınavı".into(),
            description: "Beş soru, otuz dakika. Dilediğiniz kadar deneyebilirsiniz.".into(),
            state: "draft".into(),
            time_limit_seconds: Some(1_800),
            opens_at: None,
            closes_at: None,
            hard_end: false,
            max_attempts: 0,
            attempt_scoring: "best".into(),
            cooldown_seconds: 0,
            shuffle_questions: false,
            shuffle_options: true,
            negative_marking: true,
            wrongs_per_right: 4,
            pass_percent: 50,
            review_policy: "after_submit".into(),
            draw: Json(Vec::new()),
            version: 1,
            revision: 0,
            question_count: 0,
            created_at: now,
            updated_at: now,
            released_at: None,
        };
        exams::insert(&mut tx, &exam).await?;
        for (place, content) in (0_i32..).zip(contents()) {
            let new = New {
                id: QuestionId(thing(EXAM + 1 + place.unsigned_abs())),
                course_id: course(1),
                exam_id: Some(id),
                order_index: Some(place),
                content,
            };
            questions::insert(&mut tx, &new, TEACHER.id, now).await?;
        }
        publish(&mut tx, id, TEACHER.id, now).await?;
        Ok(tx.commit(()).await?)
    });
    Ok(seeded.await?)
}

fn content(text: &str, body: Body) -> Content {
    Content {
        text: text.into(),
        points: Score(20 * i64::from(FULL)),
        tags: Vec::new(),
        feedback: String::new(),
        body,
    }
}

fn choices(number: u32, texts: &[(&str, bool)], several: bool) -> Vec<Choice> {
    let correct: Vec<bool> = texts.iter().map(|(_, correct)| *correct).collect();
    let shares = equal_shares(&correct);
    let all = (0_u32..).zip(texts).zip(shares);
    all.map(|((place, (text, correct)), share)| Choice {
        id: thing(EXAM + 100 * number + place),
        text: (*text).into(),
        credit: match (several, correct) {
            (true, _) => share,
            (false, true) => FULL,
            (false, false) => 0,
        },
        feedback: String::new(),
    })
    .collect()
}

fn contents() -> Vec<Content> {
    let limits = [("0", false), ("1", true), ("∞", false), ("tanımsız", false)];
    let rules = [
        ("f(x) = x² ise f'(x) = 2x", true),
        ("f(x) = sin x ise f'(x) = cos x", true),
        ("f(x) = eˣ ise f'(x) = x·eˣ⁻¹", false),
    ];
    let statement = true_false(true, Uuid::nil);
    let statement = (0_u32..).zip(statement).map(|(place, choice)| Choice {
        id: thing(EXAM + 300 + place),
        ..choice
    });
    let number = NumericKey {
        value: 12.0,
        tolerance: 0.0,
        credit: FULL,
    };
    let key = |text: &str| TextKey {
        text: text.into(),
        credit: FULL,
    };
    vec![
        content(
            "x → 0 iken sin(x)/x limiti kaçtır?",
            Body::Single {
                options: choices(1, &limits, false),
            },
        ),
        content(
            "Hangileri doğrudur?",
            Body::Multiple {
                options: choices(2, &rules, true),
            },
        ),
        content(
            "Türevlenebilen her fonksiyon süreklidir.",
            Body::TrueFalse {
                options: statement.collect(),
            },
        ),
        content(
            "f(x) = x³ ise f'(2) kaçtır?",
            Body::Numeric {
                accepted: vec![number],
            },
        ),
        content(
            "Türevin tersi olan işlemin adı nedir?",
            Body::Short {
                accepted: vec![key("integral"), key("integral alma")],
                case_sensitive: false,
            },
        ),
    ]
}
