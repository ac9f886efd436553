//! Between the contract's messages and questions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::exam::v1 as proto;
use contracts::timestamp;
use problem::Problem;
use question_formats::{Format, detect};
use time::OffsetDateTime;
use typed_id::new_uuid;

use super::convert::{id, points};
use crate::domain::exchange::true_false;
use crate::domain::question::{Body, Choice, Content, NumericKey, TextKey, equal_shares};
use crate::domain::score::{Credit, FULL, Score};
use crate::storage::questions::{Stored, Version};
use crate::usecases::Page;
use crate::usecases::import_questions::{Report, Source};

/// The fields of a question, as they come; `None` leaves what there is.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    kind: Option<String>,
    text: Option<String>,
    options: Vec<proto::Option>,
    accepted: Vec<proto::Accepted>,
    case_sensitive: Option<bool>,
    points: Option<f64>,
    tags: Option<Vec<String>>,
    feedback: Option<String>,
}

macro_rules! draft_from {
    ($message:ty, $kind:expr, $text:expr, $tags:expr) => {
        impl From<$message> for Draft {
            fn from(req: $message) -> Self {
                Self {
                    kind: $kind(req.r#type),
                    text: $text(req.text),
                    options: req.options,
                    accepted: req.accepted,
                    case_sensitive: req.case_sensitive,
                    points: req.points,
                    tags: $tags(req.tags),
                    feedback: req.feedback,
                }
            }
        }
    };
}
draft_from!(proto::CreateQuestionRequest, Some, Some, Some);
draft_from!(proto::CreateBankQuestionRequest, Some, Some, Some);
draft_from!(
    proto::UpdateQuestionRequest,
    std::convert::identity,
    std::convert::identity,
    |tags: Option<proto::TagList>| tags.map(|tags| tags.items)
);

fn credit(field: &'static str, weight: f64) -> Result<Credit, Problem> {
    if (-1.0..=1.0).contains(&weight) {
        Ok((weight * f64::from(FULL)).round() as Credit)
    } else {
        Err(Problem::invalid_field(
            field,
            "number.range",
            "a weight has to be between -1 and 1",
        ))
    }
}

impl Draft {
    /// A new question.
    pub fn content(self, now: OffsetDateTime) -> Result<Content, Problem> {
        let blank = Content {
            text: String::new(),
            points: Score(i64::from(FULL)),
            tags: Vec::new(),
            feedback: String::new(),
            body: Body::Essay,
        };
        self.over(blank, now)
    }

    /// The next version of a question.
    pub fn over(self, before: Content, now: OffsetDateTime) -> Result<Content, Problem> {
        let tags = self.tags.as_ref().map(|tags| {
            let tags = tags.iter().map(|tag| tag.trim().to_owned());
            tags.filter(|tag| !tag.is_empty()).collect()
        });
        Ok(Content {
            text: self.text.clone().unwrap_or_else(|| before.text.clone()),
            points: self
                .points
                .map_or(Ok(before.points), |value| points("points", value))?,
            tags: tags.unwrap_or_else(|| before.tags.clone()),
            feedback: self.feedback.clone().unwrap_or_else(|| before.feedback.clone()),
            body: self.body(before.body, now)?,
        })
    }

    fn body(self, before: Body, now: OffsetDateTime) -> Result<Body, Problem> {
        let kind = self.kind.clone().unwrap_or_else(|| before.kind().to_owned());
        let same_kind = kind == before.kind();
        if same_kind && self.options.is_empty() && self.accepted.is_empty() {
            return Ok(match (before, self.case_sensitive) {
                (Body::Short { accepted, .. }, Some(case_sensitive)) => Body::Short {
                    accepted,
                    case_sensitive,
                },
                (before, _) => before,
            });
        }
        Ok(match kind.as_str() {
            "multiple" => Body::Multiple {
                options: self.choices(before.options(), true, now)?,
            },
            "true_false" if self.options.is_empty() => Body::TrueFalse {
                options: true_false(true, || new_uuid(now)),
            },
            "true_false" => Body::TrueFalse {
                options: self.choices(before.options(), false, now)?,
            },
            "numeric" => Body::Numeric {
                accepted: self.numbers()?,
            },
            "short" => Body::Short {
                case_sensitive: self.case_sensitive.unwrap_or_default(),
                accepted: self.texts()?,
            },
            "essay" => Body::Essay,
            _ => Body::Single {
                options: self.choices(before.options(), false, now)?,
            },
        })
    }

    /// Options keep the ids that are sent along, or those of the options with the same text: answers refer to them.
    fn choices(&self, before: &[Choice], several: bool, now: OffsetDateTime) -> Result<Vec<Choice>, Problem> {
        let correct: Vec<bool> = self.options.iter().map(|option| option.correct).collect();
        let shares = equal_shares(&correct);
        let mut choices: Vec<Choice> = Vec::with_capacity(self.options.len());
        for (option, share) in self.options.iter().zip(shares) {
            let known = before.iter().find(|choice| {
                if option.id.is_empty() {
                    choice.text == option.text && choices.iter().all(|taken| taken.id != choice.id)
                } else {
                    choice.id.to_string() == option.id.to_lowercase()
                }
            });
            let id = match known {
                Some(choice) => choice.id,
                None if option.id.is_empty() => new_uuid(now),
                None => id("options", &option.id)?,
            };
            let plain = match (several, option.correct) {
                (true, _) => share,
                (false, true) => FULL,
                (false, false) => 0,
            };
            choices.push(Choice {
                id,
                text: option.text.clone(),
                credit: option
                    .weight
                    .map_or(Ok(plain), |weight| credit("options", weight))?,
                feedback: option.feedback.clone(),
            });
        }
        Ok(choices)
    }

    fn numbers(&self) -> Result<Vec<NumericKey>, Problem> {
        let missing = || Problem::invalid_field("accepted", "required", "a numeric question accepts numbers");
        let keys = self.accepted.iter().map(|key| {
            Ok(NumericKey {
                value: key.number.ok_or_else(missing)?,
                tolerance: key.tolerance,
                credit: key.weight.map_or(Ok(FULL), |weight| credit("accepted", weight))?,
            })
        });
        keys.collect()
    }

    fn texts(&self) -> Result<Vec<TextKey>, Problem> {
        let keys = self.accepted.iter().map(|key| {
            Ok(TextKey {
                text: key.text.clone(),
                credit: key.weight.map_or(Ok(FULL), |weight| credit("accepted", weight))?,
            })
        });
        keys.collect()
    }
}

fn weight(credit: Credit) -> f64 {
    f64::from(credit) / f64::from(FULL)
}

/// Options with their key.
pub fn option_messages(body: &Body) -> Vec<proto::Option> {
    body.options()
        .iter()
        .map(|option| proto::Option {
            id: option.id.to_string(),
            text: option.text.clone(),
            correct: option.credit > 0,
            weight: Some(weight(option.credit)),
            feedback: option.feedback.clone(),
        })
        .collect()
}

pub fn accepted_messages(body: &Body) -> Vec<proto::Accepted> {
    match body {
        Body::Numeric { accepted } => accepted
            .iter()
            .map(|key| proto::Accepted {
                text: String::new(),
                number: Some(key.value),
                tolerance: key.tolerance,
                weight: Some(weight(key.credit)),
            })
            .collect(),
        Body::Short { accepted, .. } => accepted
            .iter()
            .map(|key| proto::Accepted {
                text: key.text.clone(),
                number: None,
                tolerance: 0.0,
                weight: Some(weight(key.credit)),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn is_case_sensitive(body: &Body) -> bool {
    matches!(
        body,
        Body::Short {
            case_sensitive: true,
            ..
        }
    )
}

impl From<Version> for proto::QuestionVersion {
    fn from(version: Version) -> Self {
        let content = version.content.0;
        Self {
            question_id: version.question_id.to_string(),
            version: version.version,
            r#type: content.body.kind().to_owned(),
            options: option_messages(&content.body),
            accepted: accepted_messages(&content.body),
            case_sensitive: is_case_sensitive(&content.body),
            text: content.text,
            points: content.points.points(),
            tags: content.tags,
            feedback: content.feedback,
            created_by: version.created_by.to_string(),
            created_at: Some(timestamp(version.created_at)),
        }
    }
}

impl From<Stored> for proto::Question {
    fn from(stored: Stored) -> Self {
        let content = stored.content.0;
        Self {
            id: stored.id.to_string(),
            course_id: stored.course_id.to_string(),
            exam_id: stored.exam_id.map(|id| id.to_string()).unwrap_or_default(),
            r#type: content.body.kind().to_owned(),
            options: option_messages(&content.body),
            accepted: accepted_messages(&content.body),
            case_sensitive: is_case_sensitive(&content.body),
            text: content.text,
            points: content.points.points(),
            tags: content.tags,
            feedback: content.feedback,
            order_index: stored.order_index,
            version: stored.version,
            updated_at: Some(timestamp(stored.updated_at)),
        }
    }
}

pub fn question_list(page: Page<Stored>) -> proto::ListQuestionsResponse {
    proto::ListQuestionsResponse {
        questions: page.items.into_iter().map(Into::into).collect(),
        next_page_token: page.next_page_token,
    }
}

pub fn version_list(page: Page<Version>) -> proto::ListQuestionVersionsResponse {
    proto::ListQuestionVersionsResponse {
        versions: page.items.into_iter().map(Into::into).collect(),
        next_page_token: page.next_page_token,
    }
}

pub fn source(req: proto::ImportQuestionsRequest) -> Result<Source, Problem> {
    let bytes = if req.content_base64.is_empty() {
        req.content.into_bytes()
    } else {
        STANDARD
            .decode(req.content_base64.as_bytes())
            .map_err(|_| Problem::invalid_field("content_base64", "string.base64", "has to be base64"))?
    };
    Ok(Source {
        format: match req.format.as_deref() {
            Some("gift") => Format::Gift,
            Some("moodle_xml") => Format::MoodleXml,
            Some("aiken") => Format::Aiken,
            Some("qti") => Format::Qti,
            _ => detect(&bytes),
        },
        bytes,
        dry_run: req.dry_run,
        skip_faulty: req.skip_faulty,
        tags: req.tags,
    })
}

pub fn import_report(report: Report, dry_run: bool) -> proto::ImportQuestionsResponse {
    let mut tell = request_context::with(|context| context.language).teller();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    proto::ImportQuestionsResponse {
        found: count(report.found),
        imported: count(report.imported),
        faults: report
            .faults
            .into_iter()
            .map(|fault| proto::ImportFault {
                file: fault.file,
                line: i32::try_from(fault.line).unwrap_or(i32::MAX),
                code: fault.code.to_owned(),
                detail: tell(&fault.message),
            })
            .collect(),
        question_ids: report.question_ids.into_iter().map(Into::into).collect(),
        dry_run,
    }
}

#[cfg(test)]
mod tests {
    use contracts::Validate;

    use super::*;

    /// What is wrong with the tags, in each message that has some. Their ids are wrong too.
    fn faults(tags: &[String]) -> Vec<Vec<String>> {
        let tags = tags.to_vec();
        let messages: [Box<dyn Validate>; 4] = [
            Box::new(proto::CreateQuestionRequest {
                tags: tags.clone(),
                ..proto::CreateQuestionRequest::default()
            }),
            Box::new(proto::CreateBankQuestionRequest {
                tags: tags.clone(),
                ..proto::CreateBankQuestionRequest::default()
            }),
            Box::new(proto::UpdateQuestionRequest {
                tags: Some(proto::TagList { items: tags.clone() }),
                ..proto::UpdateQuestionRequest::default()
            }),
            Box::new(proto::ImportQuestionsRequest {
                tags,
                ..proto::ImportQuestionsRequest::default()
            }),
        ];
        let checked = messages.iter().map(|message| message.check().unwrap_err());
        let codes = checked.map(|problem| {
            let fields = problem.fields().iter();
            let of_tags = fields.filter(|fault| fault.field.starts_with("tags"));
            of_tags.map(|fault| fault.code.to_string()).collect()
        });
        codes.collect()
    }

    #[test]
    fn a_tag_has_one_to_a_hundred_characters() {
        assert_eq!(
            faults(&["ş".into(), "ş".repeat(100)]),
            vec![Vec::<String>::new(); 4]
        );
        assert_eq!(
            faults(&[String::new(), "ş".repeat(101)]),
            vec![vec!["string.min_len", "string.max_len"]; 4]
        );
    }
}
