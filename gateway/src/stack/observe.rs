use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use tracing::Instrument;

const SLOW: Duration = Duration::from_secs(1);

/// The span of the request, its access line, and its metrics (rate, errors, duration).
pub async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The template, not the path: an id in a metric's label would make a series for each course.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", |path| path.as_str())
        .to_owned();
    let context = request_context::current();
    let span = tracing::info_span!(
        "http", otel.kind = "server", otel.name = format!("{method} {route}"),
        http.request.method = %method, url.path = request.uri().path(), http.route = route,
        request_id = context.request_id.as_deref(), client.address = context.client_ip.map(tracing::field::display),
        http.response.status_code = tracing::field::Empty,
    );
    context.adopt(&span);
    let response = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    span.record("http.response.status_code", status);
    span.in_scope(|| {
        let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
        if elapsed > SLOW {
            tracing::warn!(status, elapsed_ms, "slow request");
        } else {
            tracing::info!(status, elapsed_ms, "request");
        }
    });
    let labels = [
        ("method", method_label(&method).to_owned()),
        ("route", route),
        ("status", status.to_string()),
    ];
    metrics::histogram!("http_request_seconds", &labels).record(elapsed);
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
