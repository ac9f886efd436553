use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Uri};
use request_context::RequestContext;
use tracing::Span;

use super::access_log::AccessLog;
use super::route_metrics;

const SLOW: Duration = Duration::from_secs(1);

/// A request whose span, access line and metrics (rate, errors, duration) are being made.
pub struct Observed<'a> {
    pub span: Span,
    started: Instant,
    method: &'static str,
    uri: &'a Uri,
    route: &'a str,
    client_ip: Option<IpAddr>,
}

impl<'a> Observed<'a> {
    /// `route` is the template, not the path: an id in a metric's label would make a series for each course.
    pub fn begin(context: &RequestContext, method: &Method, uri: &'a Uri, route: &'a str) -> Self {
        let started = Instant::now();
        let span = tracing::info_span!(
            "http", otel.kind = "server", otel.name = %format_args!("{method} {route}"),
            http.request.method = %method, url.path = uri.path(), http.route = route,
            request_id = context.request_id.as_deref(), client.address = context.client_ip.map(tracing::field::display),
            http.response.status_code = tracing::field::Empty,
        );
        context.adopt(&span);
        Self {
            span,
            started,
            method: method_label(method),
            uri,
            route,
            client_ip: context.client_ip,
        }
    }

    pub fn end(self, log: &AccessLog, status: StatusCode) {
        let Self {
            span, method, route, ..
        } = self;
        let elapsed = self.started.elapsed();
        span.record("http.response.status_code", status.as_u16());
        let is_slow = elapsed > SLOW;
        if let Some(skipped) = log.admits(status, is_slow) {
            let _entered = span.enter();
            let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
            let (path, status) = (self.uri.path(), status.as_u16());
            let client = self.client_ip.map(tracing::field::display);
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
        route_metrics::record(method, route, status.as_u16(), elapsed);
    }
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
