use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Version};
use problem::{Problem, codes};
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt};

use crate::answer::problem_answer;

/// Refuses what two parties may read differently, and ends its connection: in that gap a second request can be hidden.
pub async fn one_reading<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(fault) = ambiguity(request.version(), request.headers()) else {
        return next(request).await;
    };
    let problem = Problem::new(&codes::MALFORMED_REQUEST).with_detail(fault);
    let mut answer = problem_answer(&problem, request.uri());
    if request.version() < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    answer
}

fn ambiguity(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    // RFC 9112, section 3.2; over HTTP/2 `:authority` stands for it.
    let is_host_right = match hosts.as_slice() {
        [] => version != Version::HTTP_11,
        [host] => host.is_empty() || Authority::try_from(host.as_bytes()).is_ok(),
        _ => false,
    };
    if !is_host_right {
        return Some("there has to be one Host");
    }
    let codings: Vec<_> = headers.get_all(TRANSFER_ENCODING).iter().collect();
    match codings.as_slice() {
        [] => None,
        [coding] if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => None,
        _ => Some("the one Transfer-Encoding is chunked"),
    }
}

/// Refuses at once what is over the limit: a queue would only make everybody late.
pub async fn shed<F: Future<Output = Response>>(
    in_flight: &Semaphore,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    // Whether a process lives has to be told most of all when it is busy.
    if request.uri().path().contains("/health") {
        return next(request).await;
    }
    if let Ok(_place) = in_flight.try_acquire() {
        next(request).await
    } else {
        metrics::counter!("requests_shed_total").increment(1);
        let problem = Problem::new(&codes::OVERLOADED).with_retry_after(Duration::from_secs(1));
        problem_answer(&problem, request.uri())
    }
}

/// Ends what takes too long, the reading of the body included.
pub async fn time_out<F: Future<Output = Response>>(
    limit: Duration,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let uri = request.uri().clone();
    let deadline = tokio::time::Instant::now() + limit;
    let context = request_context::RequestContext {
        deadline: Some(deadline),
        ..request_context::current()
    };
    let work = request_context::scope(context, async { next(request).await });
    match tokio::time::timeout_at(deadline, work).await {
        Ok(response) => response,
        Err(_) => problem_answer(&Problem::new(&codes::TIMEOUT), &uri),
    }
}

pub async fn catch_panic<S>(request: Request, route: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let uri = request.uri().clone();
    match AssertUnwindSafe(route.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            let problem = Problem::internal("a handler panicked");
            problem.log();
            problem_answer(&problem, &uri)
        }
    }
}
