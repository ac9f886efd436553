//! The context as headers: of HTTP at the gateway, of gRPC between our processes.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use problem::Language;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::trace::of_span;
use crate::{RequestContext, with};

/// Names of the headers that carry the context. All but the first five are ours alone: the gateway strips them from clients.
pub mod header {
    pub const AUTHORIZATION: &str = "authorization";
    pub const TRACEPARENT: &str = "traceparent";
    pub const TRACESTATE: &str = "tracestate";
    pub const ACCEPT_LANGUAGE: &str = "accept-language";
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    pub const REQUEST_ID: &str = "x-request-id";
    pub const CLIENT_IP: &str = "x-client-ip";
    pub const CLIENT_AGENT: &str = "x-client-agent";
    /// Microseconds since the epoch.
    pub const ARRIVED_AT: &str = "x-arrived-at";
    pub const GRPC_TIMEOUT: &str = "grpc-timeout";
}

const BEARER: &str = "Bearer ";

// Made once: a name that is given as text is looked up each time.
static REQUEST_ID: HeaderName = HeaderName::from_static(header::REQUEST_ID);
static CLIENT_IP: HeaderName = HeaderName::from_static(header::CLIENT_IP);
static CLIENT_AGENT: HeaderName = HeaderName::from_static(header::CLIENT_AGENT);
static ARRIVED_AT: HeaderName = HeaderName::from_static(header::ARRIVED_AT);
static GRPC_TIMEOUT: HeaderName = HeaderName::from_static(header::GRPC_TIMEOUT);
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(header::IDEMPOTENCY_KEY);
static TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);
static TRACESTATE: HeaderName = HeaderName::from_static(header::TRACESTATE);

impl RequestContext {
    /// Reads the context from a call between our processes.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            request_id: text(&REQUEST_ID).map(Arc::from),
            authorization: text(&AUTHORIZATION).and_then(bearer).map(Arc::from),
            deadline: text(&GRPC_TIMEOUT)
                .and_then(grpc_timeout)
                .and_then(|t| Instant::now().checked_add(t)),
            client_ip: text(&CLIENT_IP).and_then(|ip| ip.parse().ok()),
            user_agent: text(&CLIENT_AGENT).map(Arc::from),
            language: text(&ACCEPT_LANGUAGE)
                .map(Language::from_accept_language)
                .unwrap_or_default(),
            arrived_at: text(&ARRIVED_AT)
                .and_then(|micros| micros.parse::<i64>().ok())
                .and_then(|micros| {
                    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
                }),
            idempotency_key: text(&IDEMPOTENCY_KEY).map(Arc::from),
            traceparent: text(&TRACEPARENT).map(Arc::from),
            tracestate: text(&TRACESTATE).map(Arc::from),
            user_id: None,
        }
    }

    /// Writes the context for a call to another of our processes. The deadline is the call's own (`grpc-timeout`).
    pub fn inject(&self, headers: &mut HeaderMap) {
        let text = |text: &str| HeaderValue::from_str(text).ok();
        let mut put = |name: &HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        };
        put(&REQUEST_ID, self.request_id.as_deref().and_then(text).map(unlike));
        put(
            &AUTHORIZATION,
            self.authorization.as_deref().and_then(with_scheme).map(unlike),
        );
        let ip = self.client_ip.map(|ip| ip.to_string());
        put(&CLIENT_IP, ip.and_then(|ip| ip.try_into().ok()).map(unlike));
        put(&CLIENT_AGENT, self.user_agent.as_deref().and_then(text));
        let micros = self.arrived_at.map(|at| at.unix_timestamp_nanos() / 1_000);
        let micros = micros.and_then(|micros| i64::try_from(micros).ok());
        put(&ARRIVED_AT, micros.map(HeaderValue::from).map(unlike));
        put(
            &IDEMPOTENCY_KEY,
            self.idempotency_key.as_deref().and_then(text).map(unlike),
        );
        put(
            &ACCEPT_LANGUAGE,
            Some(HeaderValue::from_static(self.language.as_str())),
        );
        let parent = self
            .traceparent_to_send()
            .and_then(|parent| parent.try_into().ok());
        put(&TRACEPARENT, parent.map(unlike));
        let state = self.tracestate_to_send();
        put(&TRACESTATE, state.as_deref().and_then(text).map(unlike));
    }

    /// The `traceparent` of a call: the current span where OpenTelemetry is on, else the one that came in.
    pub fn traceparent_to_send(&self) -> Option<String> {
        of_span().or_else(|| {
            with(|current| {
                let parent = current.traceparent.as_ref().or(self.traceparent.as_ref());
                parent.map(ToString::to_string)
            })
        })
    }

    /// The `tracestate` of a call: the one that came in with the `traceparent` that is sent, as we have nothing to add. Beside another
    /// one it would tell of another trace.
    pub fn tracestate_to_send(&self) -> Option<Arc<str>> {
        with(|current| match current.traceparent {
            Some(_) => current.tracestate.clone(),
            None => self.tracestate.clone(),
        })
    }

    /// How long the answer is still wanted; `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// What hardly another call repeats would only push the rest out of HPACK's table.
fn unlike(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn with_scheme(token: &str) -> Option<HeaderValue> {
    let mut value = String::with_capacity(BEARER.len() + token.len());
    value.push_str(BEARER);
    value.push_str(token);
    value.try_into().ok()
}

/// The token of an `Authorization: Bearer` header; the scheme is case-insensitive (RFC 9110, section 11.1).
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// gRPC's `TimeoutValue TimeoutUnit`: up to eight digits and one of `H M S m u n`.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_survives_the_wire() {
        let sent = RequestContext {
            request_id: Some("r-1".into()),
            authorization: Some("abc.def.ghi".into()),
            client_ip: Some("2001:db8::7".parse().unwrap()),
            user_agent: Some("curl/8".into()),
            language: Language::Tr,
            arrived_at: OffsetDateTime::from_unix_timestamp(1_800_000_000).ok(),
            idempotency_key: Some("key-1".into()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            tracestate: Some("rojo=00f067aa0ba902b7".into()),
            deadline: None,
            user_id: None,
        };
        let mut headers = HeaderMap::new();
        sent.inject(&mut headers);
        headers.insert(header::GRPC_TIMEOUT, HeaderValue::from_static("250m"));
        let got = RequestContext::from_headers(&headers);
        assert!(got.remaining().unwrap() <= Duration::from_millis(250));
        let without_deadline = RequestContext {
            deadline: None,
            ..got
        };
        assert_eq!(format!("{without_deadline:?}"), format!("{sent:?}"));
    }

    #[tokio::test]
    async fn a_state_goes_with_the_parent_that_it_came_with() {
        let of = |parent: Option<&str>, state: Option<&str>| RequestContext {
            traceparent: parent.map(Arc::from),
            tracestate: state.map(Arc::from),
            ..RequestContext::default()
        };
        let own = of(Some("own parent"), Some("own state"));
        for (current, parent, state) in [
            (of(Some("parent"), Some("state")), "parent", Some("state")),
            (of(Some("parent"), None), "parent", None),
            (of(None, Some("state")), "own parent", Some("own state")),
        ] {
            let sent = async { (own.traceparent_to_send(), own.tracestate_to_send()) };
            let sent = crate::scope(current, sent).await;
            assert_eq!((sent.0.as_deref(), sent.1.as_deref()), (Some(parent), state));
        }
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_the_token_needed() {
        assert_eq!(bearer("bEaReR  x"), Some("x"));
        assert_eq!(bearer("Bearer "), None);
        assert_eq!(bearer("Basic x"), None);
    }

    #[test]
    fn timeouts_are_read_by_grpcs_grammar() {
        assert_eq!(grpc_timeout("5S"), Some(Duration::from_secs(5)));
        for text in ["", "S", "123456789S", "1x", "-1S", "1ş"] {
            assert_eq!(grpc_timeout(text), None, "{text}");
        }
    }
}
