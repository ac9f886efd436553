use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use clock::Clock;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use problem::Language;
use request_context::{RequestContext, header};

use crate::client_ip::client_ip;
use crate::listen::Peer;

/// What tells who asks.
pub struct Identity {
    pub trusted: Arc<[IpNet]>,
    pub clock: Clock,
}

/// Headers that only our own processes write.
const INTERNAL: &[&str] = &[
    header::CLIENT_IP,
    header::CLIENT_AGENT,
    header::ARRIVED_AT,
    header::GRPC_TIMEOUT,
];
const MAX_AGENT_CHARS: usize = 300;
const REQUEST_ID: HeaderName = HeaderName::from_static(header::REQUEST_ID);

/// Gives the request its context: id, address, arrival, language, trace. The id is on every answer.
pub async fn identify<F: Future<Output = Response>>(
    identity: &Identity,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let headers = request.headers_mut();
    for name in INTERNAL {
        headers.remove(*name);
    }
    let now = identity.clock.now();
    let id: Arc<str> = match text(headers, header::REQUEST_ID).filter(|id| is_well_formed(id)) {
        Some(id) => id.into(),
        None => typed_id::new_uuid(now).to_string().into(),
    };
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
    let headers = request.headers();
    let context = RequestContext {
        request_id: Some(Arc::clone(&id)),
        authorization: None,
        deadline: None,
        client_ip: peer.map(|peer: IpAddr| client_ip(peer, headers, &identity.trusted)),
        user_agent: text(headers, USER_AGENT.as_str())
            .map(|agent| agent.chars().take(MAX_AGENT_CHARS).collect::<String>().into()),
        language: text(headers, ACCEPT_LANGUAGE.as_str())
            .map(Language::from_accept_language)
            .unwrap_or_default(),
        arrived_at: Some(now),
        idempotency_key: None,
        traceparent: text(headers, header::TRACEPARENT)
            .filter(|parent| request_context::TraceParent::parse(parent).is_some())
            .map(Arc::from),
        user_id: None,
    };
    let mut response = request_context::scope(context, async { next(request).await }).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
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
