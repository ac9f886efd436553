//! From an answer and a key to points.

use super::answer::Answer;
use super::fold::{fold, fold_exact};
use super::question::{Body, Choice, Question};
use super::score::{Credit, FULL, Score};

/// How many wrong answers cancel a right one; `None`: wrong answers cost nothing.
pub type Penalty = Option<i32>;

/// The points for an answer; `None` when a person has to decide.
pub fn grade(question: &Question, answer: Option<&Answer>, penalty: Penalty) -> Option<Score> {
    let points = question.content.points;
    let Some(answer) = answer.filter(|answer| !answer.is_empty()) else {
        return Some(Score::ZERO);
    };
    let credit = match &question.content.body {
        Body::Single { options } | Body::TrueFalse { options } => one_of(options, answer),
        Body::Multiple { options } => several_of(options, answer),
        Body::Numeric { accepted } => {
            let given = answer.number?;
            let fits = |value: f64, tolerance: f64| {
                // A tolerance of 0.1 takes 1.1 for 1.0, which binary fractions alone would not.
                (given - value).abs() <= tolerance + 1e-9 * value.abs().max(1.0)
            };
            let credits = accepted.iter().filter(|key| fits(key.value, key.tolerance));
            credits.map(|key| key.credit).max().unwrap_or(0)
        }
        Body::Short {
            accepted,
            case_sensitive,
        } => {
            let same = if *case_sensitive { fold_exact } else { fold };
            let given = same(&answer.text);
            let credits = accepted.iter().filter(|key| same(&key.text) == given);
            credits.map(|key| key.credit).max().unwrap_or(0)
        }
        Body::Essay => return None,
    };
    Some(match penalty {
        _ if credit > 0 => points.share(credit),
        Some(wrongs) if credit == 0 && !matches!(question.content.body, Body::Multiple { .. }) => {
            -points.share(FULL / wrongs.max(1))
        }
        Some(wrongs) if credit < 0 => -points.share(FULL / wrongs.max(1)),
        _ => Score::ZERO,
    })
}

fn one_of(options: &[Choice], answer: &Answer) -> Credit {
    let chosen = options
        .iter()
        .find(|option| answer.option_ids.contains(&option.id));
    // A negative share of a single choice is a wrong answer: what that costs is the exam's rule.
    chosen.map_or(0, |option| option.credit.max(0))
}

/// The shares of all that was chosen; all right ones and nothing else is full, whatever the rounding of the shares.
fn several_of(options: &[Choice], answer: &Answer) -> Credit {
    let is_chosen = |option: &Choice| answer.option_ids.contains(&option.id);
    if options
        .iter()
        .all(|option| is_chosen(option) == (option.credit > 0))
    {
        return FULL;
    }
    let sum: i32 = options
        .iter()
        .filter(|option| is_chosen(option))
        .map(|option| option.credit)
        .sum();
    // Everything but one of many right ones is not everything.
    sum.clamp(-FULL, FULL - 1)
}

/// The score of a whole attempt: never below nothing. `None` while a part waits for a person.
pub fn total(parts: impl IntoIterator<Item = Option<Score>>) -> Option<Score> {
    let sum: Option<Score> = parts.into_iter().sum::<Option<Score>>();
    sum.map(|sum| sum.max(Score::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::question::{Content, NumericKey, TextKey, equal_shares};
    use proptest::prelude::*;
    use typed_id::QuestionId;
    use uuid::Uuid;

    fn question(points: f64, body: Body) -> Question {
        Question {
            id: QuestionId(Uuid::from_u128(1)),
            version: 1,
            content: Content {
                text: "?".into(),
                points: Score::from_points(points).unwrap(),
                tags: Vec::new(),
                feedback: String::new(),
                body,
            },
        }
    }

    fn options(correct: &[bool]) -> Vec<Choice> {
        let shares = equal_shares(correct);
        let all = shares.into_iter().enumerate();
        all.map(|(place, credit)| Choice {
            id: Uuid::from_u128(place as u128),
            text: "o".into(),
            credit,
            feedback: String::new(),
        })
        .collect()
    }

    fn choose(places: &[u128]) -> Answer {
        Answer {
            option_ids: places.iter().map(|place| Uuid::from_u128(*place)).collect(),
            ..Answer::default()
        }
    }

    fn points(question: &Question, answer: &Answer, penalty: Penalty) -> f64 {
        grade(question, Some(answer), penalty).unwrap().points()
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn four_wrong_cancel_one_right() {
        let single = question(
            4.0,
            Body::Single {
                options: options(&[true, false, false]),
            },
        );
        assert!(near(points(&single, &choose(&[0]), Some(4)), 4.0));
        assert!(near(points(&single, &choose(&[1]), Some(4)), -1.0));
        assert!(near(points(&single, &choose(&[1]), None), 0.0));
        assert_eq!(grade(&single, None, Some(4)), Some(Score::ZERO));
        assert_eq!(total([Some(Score(-5)), Some(Score(3))]), Some(Score::ZERO));
    }

    #[test]
    fn several_choices_earn_their_shares() {
        let multiple = question(
            3.0,
            Body::Multiple {
                options: options(&[true, true, true, false]),
            },
        );
        assert!(near(points(&multiple, &choose(&[0, 1, 2]), None), 3.0));
        assert!(near(points(&multiple, &choose(&[0]), None), 0.9999));
        assert!(near(points(&multiple, &choose(&[0, 3]), None), 0.0));
        assert!(near(points(&multiple, &choose(&[3]), Some(4)), -0.75));
        assert!(points(&multiple, &choose(&[0, 1, 2, 3]), None) < 3.0);
    }

    #[test]
    fn numbers_have_tolerances_and_words_have_keyboards() {
        let numeric = question(
            1.0,
            Body::Numeric {
                accepted: vec![
                    NumericKey {
                        value: 3.1,
                        tolerance: 0.1,
                        credit: FULL,
                    },
                    NumericKey {
                        value: 3.0,
                        tolerance: 0.5,
                        credit: FULL / 2,
                    },
                ],
            },
        );
        let number = |number| Answer {
            number: Some(number),
            ..Answer::default()
        };
        assert!(near(points(&numeric, &number(3.2), None), 1.0));
        assert!(near(points(&numeric, &number(2.6), None), 0.5));
        assert!(near(points(&numeric, &number(4.0), None), 0.0));
        let short = question(
            1.0,
            Body::Short {
                accepted: vec![TextKey {
                    text: "Iğdır".into(),
                    credit: FULL,
                }],
                case_sensitive: false,
            },
        );
        let text = |text: &str| Answer {
            text: text.into(),
            ..Answer::default()
        };
        assert!(near(points(&short, &text(" IĞDIR "), None), 1.0));
        assert!(near(points(&short, &text("iğdir"), None), 1.0));
        assert!(near(points(&short, &text("Isparta"), None), 0.0));
        let essay = question(5.0, Body::Essay);
        assert_eq!(grade(&essay, Some(&text("...")), None), None);
        assert_eq!(grade(&essay, Some(&text("  ")), None), Some(Score::ZERO));
    }

    proptest! {
        #[test]
        fn points_stay_within_the_question(correct in prop::collection::vec(any::<bool>(), 2..8), chosen in prop::collection::vec(any::<bool>(), 8), several in any::<bool>(), penalty in prop::option::of(1..10_i32)) {
            let options = options(&correct);
            let places: Vec<u128> = (0..correct.len()).filter(|place| chosen[*place]).map(|place| place as u128).collect();
            let body = if several { Body::Multiple { options } } else { Body::Single { options } };
            let question = question(2.5, body);
            let score = grade(&question, Some(&choose(&places)), penalty).unwrap();
            prop_assert!(score <= question.content.points);
            let floor = penalty.map_or(Score::ZERO, |wrongs| -question.content.points.share(FULL / wrongs));
            prop_assert!(score >= floor);
        }
    }
}
