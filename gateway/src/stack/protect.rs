use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use problem::{Problem, codes};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::answer::problem_answer;

/// Refuses at once what is over the limit: a queue would only make everybody late.
pub async fn shed(State(in_flight): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    // Whether a process lives has to be told most of all when it is busy.
    if request.uri().path().contains("/health") {
        return next.run(request).await;
    }
    if let Ok(_place) = in_flight.try_acquire() {
        next.run(request).await
    } else {
        metrics::counter!("requests_shed_total").increment(1);
        let problem = Problem::new(&codes::OVERLOADED).with_retry_after(Duration::from_secs(1));
        problem_answer(&problem, request.uri())
    }
}

/// Ends what takes too long, the reading of the body included.
pub async fn time_out(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let deadline = tokio::time::Instant::now() + limit;
    let context = request_context::RequestContext {
        deadline: Some(deadline),
        ..request_context::current()
    };
    let work = request_context::scope(context, next.run(request));
    match tokio::time::timeout_at(deadline, work).await {
        Ok(response) => response,
        Err(_) => problem_answer(&Problem::new(&codes::TIMEOUT), &uri),
    }
}

pub async fn catch_panic(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let work = futures_catch(next.oneshot(request));
    if let Some(response) = work.await {
        response
    } else {
        let problem = Problem::internal("a handler panicked");
        problem.log();
        problem_answer(&problem, &uri)
    }
}

/// `None` when the work panicked.
async fn futures_catch<F>(work: F) -> Option<Response>
where
    F: Future<Output = Result<Response, std::convert::Infallible>>,
{
    use futures::FutureExt;
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(response)) => Some(response),
        Ok(Err(never)) => match never {},
        Err(_) => None,
    }
}
