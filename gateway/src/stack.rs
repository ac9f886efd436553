//! The middleware stack, in one function: each layer with the reason for its place.

mod access_log;
mod headers;
mod identify;
mod observe;
mod protect;
mod route_metrics;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use clock::Clock;
use http::Uri;
use problem::{Problem, codes};
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

use crate::answer::problem_answer;
use crate::config::HttpSettings;
use access_log::AccessLog;
use identify::Identity;

/// Below this a compressed answer is hardly smaller.
const COMPRESS_FROM_BYTES: u64 = 256;

/// Puts the stack around the routes. A request passes it from the bottom of this function to its top.
pub fn around(routes: Router, settings: &HttpSettings, clock: Clock) -> Router {
    let in_flight = Arc::new(Semaphore::new(settings.max_in_flight));
    let timeout = Duration::from_secs(settings.request_timeout_seconds);
    let log = AccessLog::new(settings.access_log_per_second, clock.clone());
    let identity = Identity {
        trusted: settings.trusted_proxies().into(),
        clock,
    };
    routes
        // What no route takes is a problem document too.
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // 7. Innermost: a panic of a handler becomes an answer, which all layers above treat like any other.
        .layer(from_fn(protect::catch_panic))
        // 6. The time limit is inside the load shedding, so that a request that is given up frees its place.
        .layer(from_fn_with_state(timeout, protect::time_out))
        // 5. Concurrency limit with load shedding: over the limit the answer is immediate; nobody queues.
        .layer(from_fn_with_state(in_flight, protect::shed))
        // 4. Compression outside of all that can answer, inside of what looks at status and headers alone.
        .layer(
            CompressionLayer::new()
                .compress_when(SizeAbove::new(COMPRESS_FROM_BYTES).and(DefaultPredicate::new())),
        )
        // 3. CORS answers preflights itself, and its headers have to be on refusals as well or browsers hide them.
        .layer(headers::cors(settings))
        // 2b. What a proxy in front may have read otherwise goes no further.
        .layer(from_fn(protect::one_reading))
        // 2. Security headers go on every answer, those of CORS included.
        .layer(from_fn(headers::security))
        // 1. The span, the access line and the metrics see the final status of everything below.
        .layer(from_fn_with_state(log, observe::observe))
        // 0. Outermost: who asks and under which id, as everything below is told in these terms.
        .layer(from_fn_with_state(identity, identify::identify))
}

async fn not_found(uri: Uri) -> Response {
    problem_answer(&Problem::new(&codes::ROUTE_NOT_FOUND), &uri)
}

/// axum adds `Allow`.
async fn method_not_allowed(request: Request) -> Response {
    problem_answer(&Problem::new(&codes::METHOD_NOT_ALLOWED), request.uri())
}
