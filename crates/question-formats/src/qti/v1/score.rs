//! How an item of QTI 1.2 scores answers: conditions, each with what it does to the score.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::Problem;
use crate::xml::Element;
use crate::{Credit, credit, decimal};

pub(super) struct Scoring<'a> {
    conditions: Vec<&'a Element>,
}

#[derive(Default)]
pub(super) struct Outcome<'a> {
    /// Millionths.
    pub(super) score: i64,
    feedback: Vec<&'a str>,
}

pub(super) struct TextScore {
    pub(super) text: String,
    pub(super) score: i64,
    pub(super) case_sensitive: bool,
}

/// A number, or all from `low` to `high`.
pub(super) struct RangeScore {
    pub(super) low: String,
    pub(super) high: Option<String>,
    pub(super) score: i64,
}

impl<'a> Scoring<'a> {
    pub(super) fn new(item: &'a Element) -> Self {
        let conditions = item
            .children_named("resprocessing")
            .flat_map(|all| all.children_named("respcondition"));
        Self {
            conditions: conditions.collect(),
        }
    }

    /// What comes of an answer with these choices. With `all`, conditions do not end the scoring, although they do
    /// by default: with several choices, each condition is about one of them.
    pub(super) fn run(&self, chosen: &[&str], all: bool) -> Outcome<'a> {
        let mut outcome = Outcome::default();
        for condition in &self.conditions {
            let holds = condition
                .child("conditionvar")
                .is_some_and(|part| part.elements().all(|part| holds(part, chosen)));
            if !holds {
                continue;
            }
            outcome.score = new_score(condition, outcome.score);
            let feedback = condition
                .children_named("displayfeedback")
                .filter_map(|shown| shown.attribute("linkrefid"));
            outcome.feedback.extend(feedback);
            let goes_on = condition
                .attribute("continue")
                .is_some_and(|value| value.eq_ignore_ascii_case("yes"));
            if !all && !goes_on {
                break;
            }
        }
        outcome
    }

    /// For each choice the feedback that only it shows.
    pub(super) fn own_feedback(&self, ids: &[&str]) -> Vec<Option<&'a str>> {
        let general = |shown: &str| shown.contains("correct") || shown.contains("general");
        let shown: Vec<BTreeSet<&'a str>> = ids
            .iter()
            .map(|id| self.run(&[id], true).feedback.into_iter().collect())
            .collect();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for one in shown.iter().flatten() {
            *times.entry(one).or_default() += 1;
        }
        let is_own = |one: &&str| !general(one) && times.get(one) == Some(&1);
        shown
            .iter()
            .map(|mine| mine.iter().copied().find(is_own))
            .collect()
    }

    /// Credits of choices of which several may be right.
    pub(super) fn multiple(&self, ids: &[&str]) -> Option<Vec<Credit>> {
        let scores: Vec<i64> = ids.iter().map(|id| self.run(&[id], true).score).collect();
        let of_conditions = self.right_together();
        let is_right = |id: &&str| of_conditions.contains(id);
        let all_right: Vec<&str> = ids.iter().copied().filter(is_right).collect();
        let together = self.run(&all_right, true).score > 0;
        let alone = scores.iter().filter(|score| **score > 0).count();
        if together && alone <= 1 && all_right.len() >= alone {
            return Some(credit::even(&ids.iter().map(is_right).collect::<Vec<bool>>()));
        }
        (alone > 0).then(|| credit::share(&scores))
    }

    /// What the conditions that give a score ask for.
    fn right_together(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        for condition in self.scoring_conditions() {
            for part in positive(condition, &["varequal"]) {
                if let Some(crate::xml::Node::Text(text)) = part.children.first() {
                    ids.push(text.trim());
                }
            }
        }
        ids
    }

    fn scoring_conditions(&self) -> impl Iterator<Item = &'a Element> {
        self.conditions
            .iter()
            .copied()
            .filter(|condition| new_score(condition, 0) > 0)
    }

    pub(super) fn texts(&self) -> Vec<TextScore> {
        let mut texts = Vec::new();
        for condition in self.scoring_conditions() {
            for part in positive(condition, &["varequal"]) {
                texts.push(TextScore {
                    text: part.text().trim().to_owned(),
                    score: new_score(condition, 0),
                    case_sensitive: part
                        .attribute("case")
                        .is_some_and(|case| case.eq_ignore_ascii_case("yes")),
                });
            }
        }
        texts
    }

    pub(super) fn ranges(&self) -> Result<Vec<RangeScore>, Problem> {
        let mut ranges = Vec::new();
        for condition in self.scoring_conditions() {
            let score = new_score(condition, 0);
            let texts = |names: &[&str]| -> Vec<String> {
                positive(condition, names)
                    .into_iter()
                    .map(|part| part.text().trim().to_owned())
                    .collect()
            };
            let (lows, highs) = (texts(&["vargte", "vargt"]), texts(&["varlte", "varlt"]));
            if lows.len() != highs.len() {
                return Err(Problem::unsupported("a range of numbers with one end"));
            }
            if lows.is_empty() {
                let exact = texts(&["varequal"]).into_iter();
                ranges.extend(exact.map(|low| RangeScore {
                    low,
                    high: None,
                    score,
                }));
            }
            let both = lows.into_iter().zip(highs);
            ranges.extend(both.map(|(low, high)| RangeScore {
                low,
                high: Some(high),
                score,
            }));
        }
        Ok(ranges)
    }
}

fn holds(part: &Element, chosen: &[&str]) -> bool {
    match part.name.as_str() {
        "and" => part.elements().all(|part| holds(part, chosen)),
        "or" => part.elements().any(|part| holds(part, chosen)),
        "not" => !part.elements().all(|part| holds(part, chosen)),
        "varequal" => {
            let text = part.text();
            chosen.contains(&text.trim())
        }
        "other" => true,
        "unanswered" => chosen.is_empty(),
        _ => false,
    }
}

/// Parts of a condition with one of these names that are not under `not`.
fn positive<'a>(condition: &'a Element, names: &[&str]) -> Vec<&'a Element> {
    let mut found = Vec::new();
    for part in condition.elements() {
        if names.contains(&part.name.as_str()) {
            found.push(part);
        } else if part.name != "not" {
            found.extend(positive(part, names));
        }
    }
    found
}

fn new_score(condition: &Element, score: i64) -> i64 {
    condition.children_named("setvar").fold(score, |score, set| {
        let value = decimal::millionths(&set.text()).unwrap_or(0);
        match set
            .attribute("action")
            .unwrap_or("Set")
            .to_ascii_lowercase()
            .as_str()
        {
            "add" => score.saturating_add(value),
            "subtract" => score.saturating_sub(value),
            "set" => value,
            _ => score,
        }
    })
}
