//! Grading an attempt of 20 questions.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]
#![expect(unused, reason = "all rules of the service are taken in, for one of them")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use typed_id::QuestionId;
use uuid::Uuid;

// A service shows nothing of its inside: its rules come as their source.
#[path = "../src"]
mod rules {
    pub mod domain;
}

use rules::domain;

use domain::answer::Answer;
use domain::grading::{grade, total};
use domain::question::{Body, Choice, Content, NumericKey, Question, TextKey, equal_shares};
use domain::score::{FULL, Score};

fn question(number: u128) -> (Question, Answer) {
    let options = |correct: &[bool]| {
        let shares = equal_shares(correct).into_iter().enumerate();
        let choices = shares.map(|(place, credit)| Choice {
            id: Uuid::from_u128(place as u128),
            text: "option".into(),
            credit,
            feedback: String::new(),
        });
        choices.collect::<Vec<_>>()
    };
    let chosen = |places: &[u128]| Answer {
        option_ids: places.iter().map(|place| Uuid::from_u128(*place)).collect(),
        ..Answer::default()
    };
    let (body, answer) = match number % 4 {
        0 => (
            Body::Single {
                options: options(&[true, false, false, false]),
            },
            chosen(&[number % 3]),
        ),
        1 => (
            Body::Multiple {
                options: options(&[true, true, false, false]),
            },
            chosen(&[0, 1]),
        ),
        2 => (
            Body::Numeric {
                accepted: vec![NumericKey {
                    value: 9.81,
                    tolerance: 0.05,
                    credit: FULL,
                }],
            },
            Answer {
                number: Some(9.8),
                ..Answer::default()
            },
        ),
        _ => (
            Body::Short {
                accepted: vec![TextKey {
                    text: "Iğdır".into(),
                    credit: FULL,
                }],
                case_sensitive: false,
            },
            Answer {
                text: " ığdır ".into(),
                ..Answer::default()
            },
        ),
    };
    let question = Question {
        id: QuestionId(Uuid::from_u128(number)),
        version: 1,
        content: Content {
            text: "?".into(),
            points: Score::from_points(5.0).unwrap(),
            tags: Vec::new(),
            feedback: String::new(),
            body,
        },
    };
    (question, answer)
}

fn grading(criterion: &mut Criterion) {
    let attempt: Vec<(Question, Answer)> = (0..20).map(question).collect();
    criterion.bench_function("grade an attempt of 20 questions", |bencher| {
        bencher.iter(|| {
            total(
                black_box(&attempt)
                    .iter()
                    .map(|(question, answer)| grade(question, Some(answer), Some(4))),
            )
        });
    });
}

criterion_group!(benches, grading);
criterion_main!(benches);
