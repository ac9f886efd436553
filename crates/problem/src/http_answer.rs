//! Problems as clients see them: RFC 9457 `application/problem+json`.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response};
use serde::Serialize;

use crate::{Kind, Language, Problem};

/// What an answer needs to know of the request.
#[derive(Debug, Clone, Default)]
pub struct AnswerContext {
    pub request_id: String,
    /// Path of the request, without its query.
    pub instance: String,
    pub language: Language,
}

/// What every answer has, by the names of [`Body`].
pub(crate) const MEMBERS: &[&str] = &[
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "code",
    "request_id",
    "errors",
];

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: Cow<'a, str>,
    instance: &'a str,
    code: &'a str,
    request_id: &'a str,
    errors: Vec<ErrorItem<'a>>,
    #[serde(flatten)]
    members: &'a serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct ErrorItem<'a> {
    field: &'a str,
    code: &'a str,
    detail: Cow<'a, str>,
}

/// The answer to the client. Logging is the caller's, as it may have come over gRPC and been logged there.
pub fn to_response(problem: &Problem, context: &AnswerContext) -> Response<Bytes> {
    let status = problem.kind().http_status();
    let title = problem.code.text(context.language);
    let body = Body {
        r#type: format!("urn:student-coaching:problem:{}", problem.code.name),
        title,
        status: status.as_u16(),
        detail: context.language.tell(problem.detail.as_deref().unwrap_or(title)),
        instance: &context.instance,
        code: problem.code.name,
        request_id: &context.request_id,
        errors: problem
            .fields
            .iter()
            .map(|f| ErrorItem {
                field: &f.field,
                code: &f.code,
                detail: context.language.tell(&f.detail),
            })
            .collect(),
        members: &problem.members,
    };
    // Serialising plain strings and a number cannot fail.
    let json = serde_json::to_vec(&body).unwrap_or_default();
    let mut response = Response::new(Bytes::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        CONTENT_LANGUAGE,
        HeaderValue::from_static(context.language.as_str()),
    );
    if problem.kind() == Kind::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after) = problem.retry_after {
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use std::time::Duration;

    #[test]
    fn the_answer_has_every_member_in_the_callers_language() {
        let context = AnswerContext {
            request_id: "r-1".into(),
            instance: "/api/v1/courses".into(),
            language: Language::Tr,
        };
        let problem = Problem::new(&codes::COURSE_FULL).with_retry_after(Duration::from_millis(1_200));
        let response = to_response(&problem, &context);
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:student-coaching:problem:course_full", "title": "Dersin kontenjanı dolu.", "status": 409,
                "detail": "Dersin kontenjanı dolu.", "instance": "/api/v1/courses", "code": "course_full",
                "request_id": "r-1", "errors": []
            })
        );
    }

    #[test]
    fn details_speak_the_callers_language() {
        let context = AnswerContext {
            language: Language::Tr,
            ..AnswerContext::default()
        };
        let problem = Problem::invalid_field("title", "string.max_len", "at most 200 characters")
            .with_detail("a compressed body is not taken");
        let body: serde_json::Value = serde_json::from_slice(to_response(&problem, &context).body()).unwrap();
        assert_eq!(body["detail"], "sıkıştırılmış gövde kabul edilmez");
        assert_eq!(body["errors"][0]["detail"], "en çok 200 karakter olmalı");
    }

    #[test]
    fn a_member_of_its_own_stands_beside_the_others() {
        let problem = Problem::new(&codes::PREREQUISITE_MISSING).with_member("missing", vec!["a", "b"]);
        let answer = to_response(&problem, &AnswerContext::default());
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["missing"], serde_json::json!(["a", "b"]));
        assert_eq!(body["code"], "prerequisite_missing");
        let names = body.as_object().unwrap().keys();
        let others = names.filter(|name| !MEMBERS.contains(&name.as_str()));
        assert_eq!(others.collect::<Vec<_>>(), ["missing"]);
        assert_eq!(body.as_object().unwrap().len(), MEMBERS.len() + 1);
    }

    #[test]
    fn a_401_says_how_to_authenticate() {
        let response = to_response(
            &Problem::new(&codes::INVALID_CREDENTIALS),
            &AnswerContext::default(),
        );
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
