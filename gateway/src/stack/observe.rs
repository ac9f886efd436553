use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::Method;
use tracing::Instrument;

use super::access_log::AccessLog;
use super::route_metrics;

const SLOW: Duration = Duration::from_secs(1);

/// The span of the request, its access line, and its metrics (rate, errors, duration).
pub async fn observe<F: Future<Output = Response>>(
    log: &AccessLog,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    // The template, not the path: an id in a metric's label would make a series for each course.
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let context = request_context::current();
    let span = tracing::info_span!(
        "http", otel.kind = "server", otel.name = format!("{method} {route}"),
        http.request.method = %method, url.path = uri.path(), http.route = route,
        request_id = context.request_id.as_deref(), client.address = context.client_ip.map(tracing::field::display),
        http.response.status_code = tracing::field::Empty,
    );
    context.adopt(&span);
    let response = next(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status(), started.elapsed());
    span.record("http.response.status_code", status.as_u16());
    let is_slow = elapsed > SLOW;
    if let Some(skipped) = log.admits(status, is_slow) {
        let _entered = span.enter();
        let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
        let (method, path) = (method_label(&method), uri.path());
        let (status, client) = (status.as_u16(), context.client_ip.map(tracing::field::display));
        if is_slow {
            tracing::warn!(
                method,
                path,
                route,
                status,
                elapsed_ms,
                client,
                skipped,
                "slow request"
            );
        } else {
            tracing::info!(
                method, path, route, status, elapsed_ms, client, skipped, "request"
            );
        }
    }
    route_metrics::record(method_label(&method), route, status.as_u16(), elapsed);
    response
}

/// A client may make up methods; it may not make up series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
