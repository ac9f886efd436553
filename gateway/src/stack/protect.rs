use std::time::Duration;

use axum::response::Response;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, Version};
use problem::{Problem, codes};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;

use crate::answer::problem_answer;

/// The refusal of what two parties may read differently, which ends its connection: in that gap a second request can be hidden.
pub fn two_readings(version: Version, headers: &HeaderMap, uri: &Uri) -> Option<Response> {
    let fault = ambiguity(version, headers)?;
    let problem = Problem::new(&codes::MALFORMED_REQUEST).with_detail(fault);
    let mut answer = problem_answer(&problem, uri);
    if version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    Some(answer)
}

fn ambiguity(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    // RFC 9112, section 3.2; over HTTP/2 `:authority` stands for it.
    let is_host_right = match (hosts.next(), hosts.next()) {
        (None, _) => version != Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    };
    if !is_host_right {
        return Some("there has to be one Host");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => None,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => None,
        _ => Some("the one Transfer-Encoding is chunked"),
    }
}

fn is_host(host: &[u8]) -> bool {
    // A plain name, as nearly all are, needs no copy to be judged.
    let is_plain = host
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte));
    is_plain || Authority::try_from(host).is_ok()
}

/// A place below the limit, or the refusal at once of what is over it: a queue would only make everybody late.
pub fn enter<'a>(in_flight: &'a Semaphore, uri: &Uri) -> Result<Option<SemaphorePermit<'a>>, Response> {
    // Whether a process lives has to be told most of all when it is busy.
    if uri.path().contains("/health") {
        return Ok(None);
    }
    in_flight.try_acquire().map(Some).map_err(|_| {
        metrics::counter!("requests_shed_total").increment(1);
        let problem = Problem::new(&codes::OVERLOADED).with_retry_after(Duration::from_secs(1));
        problem_answer(&problem, uri)
    })
}

/// What became of a request in its time, the reading of the body included. A panic of a handler becomes an answer like any other.
pub fn outcome(worked: Result<std::thread::Result<Response>, Elapsed>, uri: &Uri) -> Response {
    match worked {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            let problem = Problem::internal("a handler panicked");
            problem.log();
            problem_answer(&problem, uri)
        }
        Err(_) => problem_answer(&Problem::new(&codes::TIMEOUT), uri),
    }
}
