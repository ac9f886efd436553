//! A published exam: its questions and rules, never changed afterwards.

use serde::{Deserialize, Serialize};
use typed_id::QuestionId;

use super::grading::Penalty;
use super::question::Question;
use super::score::Score;

/// So many questions of the bank that carry a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    pub tag: String,
    pub count: i32,
}

/// The rules that an attempt keeps from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    pub shuffle_questions: bool,
    pub shuffle_options: bool,
    pub negative_marking: bool,
    pub wrongs_per_right: i32,
    pub pass_percent: i32,
}

impl Rules {
    pub fn penalty(&self) -> Penalty {
        self.negative_marking.then_some(self.wrongs_per_right)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    pub rules: Rules,
    /// The exam's own questions.
    pub fixed: Vec<Question>,
    /// Questions of the bank that some draw may take.
    pub pool: Vec<Question>,
    pub draws: Vec<Draw>,
}

impl Revision {
    pub fn question(&self, id: QuestionId) -> Option<&Question> {
        self.fixed
            .iter()
            .chain(&self.pool)
            .find(|question| question.id == id)
    }

    /// How many questions each attempt has; `None` when the bank holds too few for the draws, or there are none at all.
    pub fn question_count(&self) -> Option<usize> {
        let wanted: usize = self
            .draws
            .iter()
            .map(|draw| usize::try_from(draw.count).unwrap_or_default())
            .sum();
        let count = super::draw::questions(self, 0).len();
        (count > 0 && count == self.fixed.len() + wanted).then_some(count)
    }
}

/// The most points of these questions.
pub fn max_score<'a>(questions: impl IntoIterator<Item = &'a Question>) -> Score {
    questions
        .into_iter()
        .map(|question| question.content.points)
        .sum()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::domain::question::{Body, Choice, Content};
    use crate::domain::score::FULL;
    use uuid::Uuid;

    pub fn question(number: u128) -> Question {
        let option = |place: u128| Choice {
            id: Uuid::from_u128(number * 100 + place),
            text: format!("option {place}"),
            credit: if place == 0 { FULL } else { 0 },
            feedback: String::new(),
        };
        Question {
            id: QuestionId(Uuid::from_u128(number)),
            version: 1,
            content: Content {
                text: format!("question {number}"),
                points: Score(10_000),
                tags: vec!["pool".into()],
                feedback: String::new(),
                body: Body::Single {
                    options: (0..4).map(option).collect(),
                },
            },
        }
    }

    pub fn revision(fixed: usize, pool: usize, count: i32, shuffle: bool) -> Revision {
        Revision {
            rules: Rules {
                shuffle_questions: shuffle,
                shuffle_options: shuffle,
                negative_marking: false,
                wrongs_per_right: 4,
                pass_percent: 50,
            },
            fixed: (0..fixed)
                .map(|number| question(1_000 + number as u128))
                .collect(),
            pool: (0..pool).map(|number| question(2_000 + number as u128)).collect(),
            draws: vec![Draw {
                tag: "pool".into(),
                count,
            }],
        }
    }

    #[test]
    fn a_bank_that_is_too_small_is_noticed() {
        assert_eq!(revision(2, 3, 3, false).question_count(), Some(5));
        assert_eq!(revision(2, 3, 4, false).question_count(), None);
        assert_eq!(revision(0, 0, 0, false).question_count(), None);
    }
}
