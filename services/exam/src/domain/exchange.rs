//! Between our questions and those of other systems' files.

use question_formats as formats;
use uuid::Uuid;

use super::question::{Body, Choice, Content, NumericKey, TextKey};
use super::score::{FULL, Score};

/// A question of a file as one of ours; option ids are made anew.
pub fn from_format(question: formats::Question, new_id: impl Fn() -> Uuid) -> Content {
    let choices = |choices: Vec<formats::Choice>| -> Vec<Choice> {
        let all = choices.into_iter();
        all.map(|choice| Choice {
            id: new_id(),
            text: choice.text,
            credit: choice.credit,
            feedback: choice.feedback,
        })
        .collect()
    };
    let body = match question.body {
        formats::Body::Single { choices: all } => Body::Single {
            options: choices(all),
        },
        formats::Body::Multiple { choices: all } => Body::Multiple {
            options: choices(all),
        },
        formats::Body::TrueFalse { answer } => Body::TrueFalse {
            options: true_false(answer, new_id),
        },
        formats::Body::Numeric { accepted } => Body::Numeric {
            accepted: accepted
                .into_iter()
                .map(|key| NumericKey {
                    // What is no number fails the check of the content.
                    value: key.value.parse().unwrap_or(f64::NAN),
                    tolerance: key.tolerance.parse().unwrap_or(f64::NAN),
                    credit: key.credit,
                })
                .collect(),
        },
        formats::Body::Short {
            accepted,
            case_sensitive,
        } => Body::Short {
            accepted: accepted
                .into_iter()
                .map(|key| TextKey {
                    text: key.text,
                    credit: key.credit,
                })
                .collect(),
            case_sensitive,
        },
        formats::Body::Essay => Body::Essay,
    };
    Content {
        text: question.text,
        points: Score(i64::from(question.points) * 10),
        tags: question.tags,
        feedback: question.feedback,
        body,
    }
}

/// The two options of a statement.
pub fn true_false(answer: bool, new_id: impl Fn() -> Uuid) -> Vec<Choice> {
    let option = |text: &str, is_right: bool| Choice {
        id: new_id(),
        text: text.to_owned(),
        credit: if is_right { FULL } else { 0 },
        feedback: String::new(),
    };
    vec![option("Doğru", answer), option("Yanlış", !answer)]
}

/// One of our questions for a file.
pub fn to_format(content: Content) -> formats::Question {
    let choices = |options: Vec<Choice>| -> Vec<formats::Choice> {
        let all = options.into_iter();
        all.map(|option| formats::Choice {
            text: option.text,
            credit: option.credit,
            feedback: option.feedback,
        })
        .collect()
    };
    let body = match content.body {
        Body::Single { options } => formats::Body::Single {
            choices: choices(options),
        },
        Body::Multiple { options } => formats::Body::Multiple {
            choices: choices(options),
        },
        Body::TrueFalse { options } => formats::Body::TrueFalse {
            answer: options.first().is_some_and(|option| option.credit == FULL),
        },
        Body::Numeric { accepted } => formats::Body::Numeric {
            accepted: accepted
                .into_iter()
                .map(|key| formats::NumericAnswer {
                    value: key.value.to_string(),
                    tolerance: key.tolerance.to_string(),
                    credit: key.credit,
                })
                .collect(),
        },
        Body::Short {
            accepted,
            case_sensitive,
        } => formats::Body::Short {
            accepted: accepted
                .into_iter()
                .map(|key| formats::TextAnswer {
                    text: key.text,
                    credit: key.credit,
                })
                .collect(),
            case_sensitive,
        },
        Body::Essay => formats::Body::Essay,
    };
    formats::Question {
        title: String::new(),
        text: content.text,
        body,
        points: u32::try_from(content.points.0 / 10).unwrap_or_default(),
        tags: content.tags,
        feedback: content.feedback,
    }
}
