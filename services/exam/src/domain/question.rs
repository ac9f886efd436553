//! A question with its key.

use problem::Problem;
use serde::{Deserialize, Serialize};
use typed_id::QuestionId;
use uuid::Uuid;

use super::score::{Credit, FULL, Score};

/// Characters of a tag: as many as a draw can name.
const MAX_TAG: usize = 100;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    pub id: QuestionId,
    pub version: i32,
    #[serde(flatten)]
    pub content: Content,
}

/// What an edit makes anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    pub text: String,
    pub points: Score,
    #[serde(default)]
    pub tags: Vec<String>,
    /// Told with the key.
    #[serde(default)]
    pub feedback: String,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    Single {
        options: Vec<Choice>,
    },
    Multiple {
        options: Vec<Choice>,
    },
    TrueFalse {
        options: Vec<Choice>,
    },
    Numeric {
        accepted: Vec<NumericKey>,
    },
    Short {
        accepted: Vec<TextKey>,
        case_sensitive: bool,
    },
    Essay,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub id: Uuid,
    pub text: String,
    /// Positive for what is right; what wrong ones take away.
    pub credit: Credit,
    #[serde(default)]
    pub feedback: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NumericKey {
    pub value: f64,
    pub tolerance: f64,
    pub credit: Credit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextKey {
    pub text: String,
    pub credit: Credit,
}

impl Body {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Single { .. } => "single",
            Self::Multiple { .. } => "multiple",
            Self::TrueFalse { .. } => "true_false",
            Self::Numeric { .. } => "numeric",
            Self::Short { .. } => "short",
            Self::Essay => "essay",
        }
    }

    pub fn options(&self) -> &[Choice] {
        match self {
            Self::Single { options } | Self::Multiple { options } | Self::TrueFalse { options } => options,
            _ => &[],
        }
    }
}

fn invalid(field: &'static str, code: &'static str, detail: &'static str) -> Problem {
    Problem::invalid_field(field, code, detail)
}

impl Content {
    /// Whether students can answer it, somebody can be right, and a draw can name its tags.
    pub fn check(&self) -> Result<(), Problem> {
        self.check_tags()?;
        self.check_but_tags()
    }

    fn check_tags(&self) -> Result<(), Problem> {
        if self.tags.iter().any(|tag| tag.trim().is_empty()) {
            return Err(invalid(
                "tags",
                "string.min_len",
                "has to be at least 1 character",
            ));
        }
        if self.tags.iter().any(|tag| tag.chars().count() > MAX_TAG) {
            return Err(invalid("tags", "string.max_len", "at most 100 characters"));
        }
        Ok(())
    }

    /// As [`Content::check`] of an edit that leaves its tags as they were, whatever they are.
    pub fn check_but_tags(&self) -> Result<(), Problem> {
        if self.text.trim().is_empty() {
            return Err(invalid(
                "text",
                "string.min_len",
                "has to be at least 1 character",
            ));
        }
        if self.points < Score::ZERO {
            return Err(invalid("points", "number.gte", "has to be at least 0"));
        }
        match &self.body {
            Body::Single { options } | Body::Multiple { options } | Body::TrueFalse { options } => {
                self.check_options(options)
            }
            Body::Numeric { accepted } => {
                let sound = |key: &NumericKey| {
                    key.value.is_finite() && key.tolerance.is_finite() && key.tolerance >= 0.0
                };
                if !accepted.iter().all(sound) {
                    return Err(invalid(
                        "accepted",
                        "number.finite",
                        "has to be a number with a tolerance of at least 0",
                    ));
                }
                has_full(accepted.iter().map(|key| key.credit), "accepted")
            }
            Body::Short { accepted, .. } => {
                if accepted.iter().any(|key| key.text.trim().is_empty()) {
                    return Err(invalid(
                        "accepted",
                        "string.min_len",
                        "an accepted answer is empty",
                    ));
                }
                has_full(accepted.iter().map(|key| key.credit), "accepted")
            }
            Body::Essay => Ok(()),
        }
    }

    fn check_options(&self, options: &[Choice]) -> Result<(), Problem> {
        if options.len() < 2 {
            return Err(invalid(
                "options",
                "repeated.min_items",
                "has to have at least 2 options",
            ));
        }
        if options.iter().any(|option| option.text.trim().is_empty()) {
            return Err(invalid("options", "string.min_len", "an option is empty"));
        }
        let mut ids: Vec<Uuid> = options.iter().map(|option| option.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != options.len() {
            return Err(invalid("options", "repeated.unique", "an option id stands twice"));
        }
        match &self.body {
            Body::Multiple { .. } => {
                if options.iter().any(|option| option.credit > 0) {
                    Ok(())
                } else {
                    Err(invalid("options", "no_correct_answer", "no option is correct"))
                }
            }
            body => {
                let right = options.iter().filter(|option| option.credit == FULL).count();
                if matches!(body, Body::TrueFalse { .. }) && options.len() != 2 {
                    return Err(invalid("options", "repeated.max_items", "has to have 2 options"));
                }
                if right == 1 {
                    return Ok(());
                }
                Err(invalid(
                    "options",
                    "no_correct_answer",
                    "exactly one option has to be correct",
                ))
            }
        }
    }
}

fn has_full(mut credits: impl Iterator<Item = Credit>, field: &'static str) -> Result<(), Problem> {
    if credits.any(|credit| credit == FULL) {
        Ok(())
    } else {
        Err(invalid(field, "no_correct_answer", "no answer gives all points"))
    }
}

/// Equal shares: each correct option its part of the points, each wrong one as much off (never below nothing).
pub fn equal_shares(correct: &[bool]) -> Vec<Credit> {
    let right = i32::try_from(correct.iter().filter(|is| **is).count()).unwrap_or(i32::MAX);
    let part = if right == 0 { FULL } else { FULL / right };
    correct.iter().map(|is| if *is { part } else { -part }).collect()
}
