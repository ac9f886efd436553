use std::sync::Arc;

use axum::response::Response;
use clock::Clock;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use problem::Language;
use request_context::{RequestContext, header};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::client_ip::client_ip;
use crate::listen::Peer;

/// What tells who asks.
pub struct Identity {
    pub trusted: Arc<[IpNet]>,
    pub clock: Clock,
}

/// Headers that only our own processes write.
static INTERNAL: [HeaderName; 4] = [
    HeaderName::from_static(header::CLIENT_IP),
    HeaderName::from_static(header::CLIENT_AGENT),
    HeaderName::from_static(header::ARRIVED_AT),
    HeaderName::from_static(header::GRPC_TIMEOUT),
];
static REQUEST_ID: HeaderName = HeaderName::from_static(header::REQUEST_ID);
static TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);
static TRACESTATE: HeaderName = HeaderName::from_static(header::TRACESTATE);
const MAX_AGENT_CHARS: usize = 300;

impl Identity {
    /// The context of a request: id, address, arrival, language, trace.
    pub fn context(&self, peer: Option<Peer>, deadline: Instant, headers: &mut HeaderMap) -> RequestContext {
        for name in &INTERNAL {
            headers.remove(name);
        }
        let now = self.clock.now();
        let given = text(headers, &REQUEST_ID).filter(|id| is_well_formed(id));
        let id = given.map_or_else(|| new_id(now), Arc::from);
        let parent = text(headers, &TRACEPARENT)
            .filter(|parent| request_context::TraceParent::parse(parent).is_some());
        RequestContext {
            request_id: Some(id),
            authorization: None,
            deadline: Some(deadline),
            client_ip: peer.map(|peer| client_ip(peer.address.ip(), headers, &self.trusted)),
            // A text of a header is ASCII.
            user_agent: text(headers, &USER_AGENT)
                .map(|agent| agent.get(..MAX_AGENT_CHARS).unwrap_or(agent).into()),
            language: text(headers, &ACCEPT_LANGUAGE)
                .map(Language::from_accept_language)
                .unwrap_or_default(),
            arrived_at: Some(now),
            idempotency_key: None,
            traceparent: parent.map(Arc::from),
            // Says nothing without the trace that it is about.
            tracestate: parent.and_then(|_| tracestate(headers)),
            user_id: None,
        }
    }
}

/// Puts the id on the answer.
pub fn sign(context: &RequestContext, response: &mut Response) {
    let id = context.request_id.as_deref();
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
        response.headers_mut().insert(&REQUEST_ID, id);
    }
}

fn new_id(now: OffsetDateTime) -> Arc<str> {
    let mut text = [0; 36];
    let text: &str = typed_id::new_uuid(now).hyphenated().encode_lower(&mut text);
    text.into()
}

/// It may be sent in several lines.
fn tracestate(headers: &HeaderMap) -> Option<Arc<str>> {
    let lines: Result<Vec<&str>, _> = headers
        .get_all(&TRACESTATE)
        .iter()
        .map(HeaderValue::to_str)
        .collect();
    request_context::tracestate(&lines.ok()?.join(",")).map(Arc::from)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `[A-Za-z0-9._-]{1,128}`: what can stand in a log line and a header without harm.
fn is_well_formed(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_callers_are_taken_only_when_harmless() {
        assert!(is_well_formed("abc.DEF_1-2") && is_well_formed(&"a".repeat(128)));
        for id in ["", "a b", "a\nb", "ş", "a/b", &"a".repeat(129)] {
            assert!(!is_well_formed(id), "{id}");
        }
    }
}
