//! Problems as HTTP answers, in the language and with the id of their request.

use axum::body::Body;
use axum::response::Response;
use http::Uri;
use problem::{AnswerContext, Problem, to_response};

/// The answer to a request that failed; the one place where the gateway makes one.
pub fn problem_answer(problem: &Problem, uri: &Uri) -> Response {
    let context = request_context::with(|context| AnswerContext {
        request_id: context.request_id.as_deref().unwrap_or_default().to_owned(),
        instance: uri.path().to_owned(),
        language: context.language,
    });
    to_response(problem, &context).map(Body::from)
}
