//! What a student answers.

use problem::Problem;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::question::{Body, Question};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub option_ids: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Answer {
    /// Whether nothing is answered: a choice taken back counts like one that was never made.
    pub fn is_empty(&self) -> bool {
        self.option_ids.is_empty() && self.number.is_none() && self.text.trim().is_empty()
    }

    /// Whether it is an answer to that question. An empty one is, to any.
    pub fn check(&self, question: &Question) -> Result<(), Problem> {
        let body = &question.content.body;
        let takes_options = !body.options().is_empty();
        let refuse = |field, detail| Err(Problem::invalid_field(field, "answer.type", detail));
        if !takes_options && !self.option_ids.is_empty() {
            return refuse("option_ids", "this question has no options");
        }
        if !matches!(body, Body::Numeric { .. }) && self.number.is_some() {
            return refuse("number", "this question takes no number");
        }
        if !matches!(body, Body::Short { .. } | Body::Essay) && !self.text.is_empty() {
            return refuse("text", "this question takes no text");
        }
        if self.number.is_some_and(|number| !number.is_finite()) {
            return refuse("number", "has to be a number");
        }
        if !matches!(body, Body::Multiple { .. }) && self.option_ids.len() > 1 {
            return refuse("option_ids", "this question takes one option");
        }
        let known = |id: &Uuid| body.options().iter().any(|option| option.id == *id);
        if takes_options && !self.option_ids.iter().all(known) {
            return refuse("option_ids", "is no option of this question");
        }
        let mut ids = self.option_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != self.option_ids.len() {
            return refuse("option_ids", "an option stands twice");
        }
        Ok(())
    }
}
