//! Live push: `GET /api/v1/live`, a WebSocket on which a user's notifications come as they happen.

mod allowance;
pub mod hub;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use ::live::{TicketError, Tickets};
use access_token::{Caller, User};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use axum::routing::get;
use contracts::RateClass;
use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use hyper_util::rt::TokioIo;
use problem::{Problem, codes};
use serde::Deserialize;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use typed_id::NotificationId;

use crate::admission::{Limits, limit};
use crate::answer::problem_answer;
use crate::app::Gateway;
use hub::Hub;

/// The subprotocol in whose place a token follows: browsers can set no other header of a handshake.
const BEARER: &str = "bearer";
const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// A frame is written before the next one is taken: what waits here is a frame and a few pongs.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Between the answer and the connection being a socket.
const UPGRADE: Duration = Duration::from_secs(10);

/// What handshakes are judged with.
pub struct Live {
    pub hub: Arc<Hub>,
    pub tickets: Tickets,
    /// Of browsers; the gateway's own is allowed as well.
    pub origins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    ticket: Option<String>,
    /// The last notification that the client has.
    after: Option<NotificationId>,
}

pub fn routes(gateway: &Arc<Gateway>) -> Router {
    Router::new()
        .route("/api/v1/live", get(handle))
        .with_state(Arc::clone(gateway))
}

async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    let (limits, opened) = open(&gateway, &mut head).await;
    let mut response = opened.unwrap_or_else(|problem| {
        problem.log();
        problem_answer(&problem, &head.uri)
    });
    if let Some(limits) = limits {
        limits.write(response.headers_mut());
    }
    response
}

async fn open(gateway: &Gateway, head: &mut Parts) -> (Option<Limits>, Result<Response, Problem>) {
    let live = &gateway.live;
    if !is_welcome(&head.headers, &live.origins) {
        let problem = Problem::new(&codes::PERMISSION_DENIED).with_detail("not from this origin");
        return (None, Err(problem));
    }
    let identified = match asked(&head.uri) {
        Ok(asked) => identify(gateway, &head.headers, asked.ticket.as_deref())
            .await
            .map(|user| (user, asked.after)),
        Err(problem) => Err(problem),
    };
    let caller = identified
        .as_ref()
        .map_or(Caller::Anonymous, |(user, _)| Caller::User(Arc::clone(user)));
    let (limits, allowed) = limit(gateway, RateClass::ApiRead, &caller).await;
    let opened = allowed
        .and(identified)
        .and_then(|(user, after)| upgrade(live, head, user, after));
    (limits, opened)
}

fn asked(uri: &Uri) -> Result<Asked, Problem> {
    let malformed = |fault| Problem::new(&codes::MALFORMED_REQUEST).with_source(fault);
    let Query(asked): Query<Asked> = Query::try_from_uri(uri).map_err(|fault| {
        malformed(fault).with_detail("`ticket` and `after` (a notification's id) are known here")
    })?;
    if asked.after.is_some_and(|id| typed_id::made_at(id.0).is_none()) {
        return Err(Problem::invalid_field(
            "after",
            "string.uuid",
            "not a notification's id",
        ));
    }
    Ok(asked)
}

/// Whether no browser sends it, or one that shows a page of ours: a page of another origin must not open sockets in its user's name.
fn is_welcome(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return headers.get(ORIGIN).is_none();
    };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_own = origin
        .split_once("://")
        .zip(host)
        .is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host));
    is_own || allowed.iter().any(|allowed| allowed == origin)
}

/// The user behind the token of the handshake, or behind the ticket.
async fn identify(
    gateway: &Gateway,
    headers: &HeaderMap,
    ticket: Option<&str>,
) -> Result<Arc<User>, Problem> {
    if let Some(token) = offered_token(headers) {
        return match gateway.verifier.verify(token).await? {
            Caller::User(user) => Ok(user),
            _ => Err(Problem::new(&codes::INVALID_TOKEN)),
        };
    }
    let ticket = ticket.ok_or_else(|| Problem::new(&codes::UNAUTHENTICATED))?;
    let user = gateway
        .live
        .tickets
        .take(ticket)
        .await
        .map_err(|fault| match fault {
            TicketError::Away => Problem::new(&codes::UNAVAILABLE).with_retry_after(Duration::from_secs(1)),
            TicketError::Unknown => Problem::new(&codes::INVALID_TOKEN),
            TicketError::Shape(_) => Problem::internal(fault),
        })?;
    if gateway.live.hub.is_over(&user).is_some() {
        return Err(Problem::new(&codes::INVALID_TOKEN));
    }
    Ok(Arc::new(user))
}

/// What stands after `bearer` among the subprotocols.
fn offered_token(headers: &HeaderMap) -> Option<&str> {
    let mut offered = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    offered.find(|name| *name == BEARER)?;
    offered.next().filter(|token| !token.is_empty())
}

/// 101, and the socket as a task of its own: the request and its places are over with the answer.
fn upgrade(
    live: &Live,
    head: &mut Parts,
    user: Arc<User>,
    after: Option<NotificationId>,
) -> Result<Response, Problem> {
    let mut request = http::Request::from_parts(head.clone(), ());
    let answer = create_response(&request).map_err(|fault| {
        Problem::new(&codes::MALFORMED_REQUEST)
            .with_detail("a WebSocket handshake (RFC 6455) over HTTP/1.1 is needed")
            .with_source(fault)
    })?;
    let seat = live.hub.seat().ok_or_else(|| {
        metrics::counter!("queue_full_total", "queue" => "sockets").increment(1);
        Problem::new(&codes::OVERLOADED).with_retry_after(Duration::from_secs(5))
    })?;
    let has_token = offered_token(&head.headers).is_some();
    let (hub, upgrading) = (Arc::clone(&live.hub), hyper::upgrade::on(&mut request));
    live.hub.tasks.spawn(async move {
        let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE, upgrading).await else {
            return;
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(1 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_WAITING_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        socket::run(hub, seat, stream, user, after).await;
    });
    let mut response = answer.map(|()| Body::empty());
    if has_token {
        let chosen = HeaderValue::from_static(BEARER);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_listed_origins_and_of_the_gateway_itself_are_welcome() {
        let allowed = ["https://app.example.edu".to_owned()];
        for (origins, expected) in [
            (&[][..], true),
            (&["https://app.example.edu"], true),
            (&["https://api.example.edu:8080"], true),
            (&["http://API.example.edu:8080"], true),
            (&["https://api.example.edu"], false),
            (&["https://evil.example"], false),
            (&["https://app.example.edu.evil.example"], false),
            (&["null"], false),
            (&[""], false),
            (&["https://app.example.edu", "https://evil.example"], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("api.example.edu:8080"));
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_welcome(&headers, &allowed), expected, "{origins:?}");
        }
    }
}
