//! One closed list of error kinds, and the codes that clients may switch on. The only place that turns an error into an answer:
//! [`Problem`] -> gRPC status with `ErrorInfo` -> RFC 9457 `application/problem+json`.

pub mod codes;
mod grpc;
mod http_answer;
mod kind;
pub mod turkish;

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

pub use codes::Code;
pub use http_answer::{AnswerContext, to_response};
pub use kind::Kind;

/// Language of `title` and `detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    En,
    Tr,
}

impl Language {
    /// The better of our two for an `Accept-Language` header (RFC 9110, section 12.5.4).
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (0.0_f32, Self::En);
        for range in header.split(',') {
            let mut parts = range.trim().split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let quality = parts
                .find_map(|p| {
                    p.trim()
                        .strip_prefix("q=")
                        .map(|q| q.trim().parse().unwrap_or(0.0))
                })
                .unwrap_or(1.0);
            let language = match tag.split('-').next() {
                Some("tr") => Self::Tr,
                Some("en") => Self::En,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }

    /// The detail in this language, as far as it is known there.
    pub fn tell(self, detail: &str) -> Cow<'_, str> {
        match self {
            Self::Tr if !detail.is_empty() => turkish::of(detail).map_or(detail.into(), Into::into),
            Self::Tr | Self::En => detail.into(),
        }
    }

    /// [`tell`](Self::tell) for a report of many rows: what many of them say is looked up once.
    pub fn teller(self) -> impl FnMut(&str) -> String {
        let mut told: HashMap<String, String> = HashMap::new();
        move |detail: &str| {
            if let Some(known) = told.get(detail) {
                return known.clone();
            }
            let text = self.tell(detail).into_owned();
            told.insert(detail.to_owned(), text.clone());
            text
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Tr => "tr",
        }
    }
}

/// What the fault of an operation is told as, by what is stored of it: the code's name and its text, or no name and the text that was stored.
pub fn told_fault(stored: &str, language: Language) -> (&'static str, String) {
    match codes::by_name(stored) {
        Some(code) => (code.name, code.text(language).to_owned()),
        None => ("", language.tell(stored).into_owned()),
    }
}

/// What is wrong with one field of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `options[2].text`.
    pub field: String,
    /// Stable code of the broken rule, such as `string.min_len`.
    pub code: Cow<'static, str>,
    /// For people, in English; its Turkish is in [`turkish`].
    pub detail: String,
}

/// An error as a client may see it. The source is for the log only.
pub struct Problem {
    code: &'static Code,
    detail: Option<String>,
    fields: Vec<FieldError>,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    pub fn new(code: &'static Code) -> Self {
        Self {
            code,
            detail: None,
            fields: Vec::new(),
            members: Map::new(),
            retry_after: None,
            source: None,
        }
    }

    /// A failure of ours. What went wrong is logged, and the client learns nothing of it.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(&codes::INTERNAL).with_source(source)
    }

    /// 422 with the fields at fault.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::new(&codes::VALIDATION_FAILED)
        }
    }

    /// 422 for one field.
    pub fn invalid_field(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self::invalid_fields(vec![FieldError {
            field: field.into(),
            code: code.into(),
            detail: detail.into(),
        }])
    }

    /// Replaces the code's standing text; in English (its Turkish is in [`turkish`]), never from an inner error.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.fields = fields;
        self
    }

    /// A member of the answer beside those that every problem has (RFC 9457, section 3.2): what a program needs besides the code.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        debug_assert!(
            !http_answer::MEMBERS.contains(&name),
            "{name} is a member of every problem"
        );
        self.members.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn code(&self) -> &'static Code {
        self.code
    }

    pub fn kind(&self) -> Kind {
        self.code.kind
    }

    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Writes the problem to the log once, at the level of its kind. Called where the answer is made.
    pub fn log(&self) {
        let cause = self.source.as_deref().map(|s| s as &dyn StdError);
        match self.kind() {
            // Thousands a second, perhaps: whoever refuses for want of room counts it (`requests_shed_total`, `queue_full_total`).
            _ if self.code == &codes::OVERLOADED => tracing::debug!(code = self.code.name, "request refused"),
            Kind::Internal => tracing::error!(code = self.code.name, error = cause, "request failed"),
            Kind::Unavailable | Kind::Timeout => {
                tracing::warn!(
                    code = self.code.name,
                    error = cause,
                    "request could not be served"
                );
            }
            _ => tracing::debug!(
                code = self.code.name,
                error = cause,
                detail = self.detail,
                "request refused"
            ),
        }
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("code", &self.code.name)
            .field("detail", &self.detail)
            .field("fields", &self.fields)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.code.name,
            self.detail.as_deref().unwrap_or(self.code.en)
        )
    }
}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_as_one_by_one() {
        for language in [Language::En, Language::Tr] {
            let mut tell = language.teller();
            for detail in ["there is no name", "", "no text of ours", "there is no name"] {
                assert_eq!(tell(detail), language.tell(detail), "{detail}");
            }
        }
    }

    #[test]
    fn a_stored_fault_is_told_in_the_language_of_who_reads_it() {
        let text = "The report could not be made. Please ask again later.";
        assert_eq!(told_fault(text, Language::En), ("", text.to_owned()));
        assert!(told_fault(text, Language::Tr).1.starts_with("Rapor"));
        assert_eq!(told_fault("", Language::Tr), ("", String::new()));
        let code = &codes::OPERATION_TIMEOUT;
        assert_eq!(
            told_fault(code.name, Language::Tr),
            (code.name, code.tr.to_owned())
        );
    }

    #[test]
    fn the_language_with_the_higher_quality_wins() {
        for (header, language) in [
            ("", Language::En),
            ("tr", Language::Tr),
            ("tr-TR,tr;q=0.9,en;q=0.8", Language::Tr),
            ("en;q=0.5, tr;q=0.4", Language::En),
            ("de, tr;q=0.1", Language::Tr),
            ("tr;q=0", Language::En),
            ("tr;q=nonsense", Language::En),
        ] {
            assert_eq!(Language::from_accept_language(header), language, "{header}");
        }
    }
}
