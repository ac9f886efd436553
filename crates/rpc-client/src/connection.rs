//! An HTTP/2 connection to a service, for gRPC's unary calls: on one stream together where the service knows it
//! ([`crate::call_stream`]), else and when they are large each on its own. On `h2` itself: tonic's channel hands each call through a queue to a task,
//! hyper through another one to a third, and both wrap its bodies; that was most of what a call cost its caller (docs/adr/0030).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contracts::Method;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use parking_lot::Mutex;
use peer_tls::PeerConnector;
use request_context::RequestContext;
use request_context::header::GRPC_TIMEOUT;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};
use tower::ServiceExt;

use crate::call_stream::CallStream;
use crate::exchange::{self, MAX_MESSAGE_BYTES, PREFIX, frame};

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(20);
/// A larger message has a stream of its own, so that no other call waits behind it.
const LARGE: usize = 32 << 10;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const FIRST_STREAMS: usize = 100;
/// Room for those of a context and of gRPC.
const HEADERS: usize = 14;

/// Where a service is.
pub struct Target {
    pub scheme: Scheme,
    pub authority: Authority,
    pub connector: Connector,
}

/// How its addresses are tried: each for a share of the time, those of both families beside each other.
pub enum Connector {
    Plain(HttpConnector),
    /// Mutual TLS.
    Tls(PeerConnector),
}

impl Connector {
    pub fn plain() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self::Plain(connector)
    }
}

/// One connection: opened when it is needed, and another in its place when it has ended.
#[derive(Default)]
pub struct Connection {
    current: Mutex<Option<Open>>,
    /// Held by who opens it; the others wait.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Open {
    sender: SendRequest<Bytes>,
    /// `None`: the service is older than the stream of calls.
    calls: Option<CallStream>,
}

impl Connection {
    /// Calls a method with an encoded message; so is the answer.
    pub async fn unary(
        &self,
        target: &Target,
        method: &'static Method,
        context: &RequestContext,
        limit: Duration,
        message: &Bytes,
    ) -> Result<Response<Bytes>, Status> {
        loop {
            let open = self.open(target).await?;
            let Some(calls) = open.calls.filter(|_| message.len() <= LARGE) else {
                // Boxed: no call holds room for what hardly one does.
                return Box::pin(alone(open.sender, target, method, context, limit, message)).await;
            };
            let made = calls.call(method.path, context, limit, message.clone());
            // Else the stream was open a moment ago, and the call was not made.
            if let Ok(outcome) = made.await {
                return outcome;
            }
        }
    }

    async fn open(&self, target: &Target) -> Result<Open, Status> {
        match self.open_one().await {
            Some(open) => Ok(open),
            None => Box::pin(self.reopened(target)).await,
        }
    }

    async fn reopened(&self, target: &Target) -> Result<Open, Status> {
        let _one = self.opening.lock().await;
        if let Some(open) = self.open_one().await {
            return Ok(open);
        }
        let opened = async {
            let mut sender = connect(target)
                .await
                .map_err(|fault| Status::unavailable(fault.to_string()))?;
            let calls =
                CallStream::open(&mut sender, head(target, exchange::PATH, HeaderMap::new())?).await?;
            Ok::<_, Status>(Open { sender, calls })
        };
        let open = timeout(CONNECT_TIMEOUT, opened)
            .await
            .map_err(|_| Status::unavailable("no connection in time"))??;
        *self.current.lock() = Some(open.clone());
        Ok(open)
    }

    /// The present one, if it takes another call.
    async fn open_one(&self) -> Option<Open> {
        let open = self.current.lock().clone()?;
        match &open.calls {
            Some(calls) => calls.is_open().then_some(open),
            None => Some(Open {
                sender: open.sender.ready().await.ok()?,
                calls: None,
            }),
        }
    }
}

/// A call on a stream of its own.
async fn alone(
    sender: SendRequest<Bytes>,
    target: &Target,
    method: &'static Method,
    context: &RequestContext,
    limit: Duration,
    message: &[u8],
) -> Result<Response<Bytes>, Status> {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    context.inject(&mut headers);
    headers.insert(GRPC_TIMEOUT, grpc_timeout(limit));
    let request = head(target, method.path, headers)?;
    let frame = frame(message)?;
    let mut sender = sender.ready().await.map_err(status_of)?;
    let (answer, mut body) = sender.send_request(request, false).map_err(status_of)?;
    body.send_data(frame, true).map_err(status_of)?;
    let (head, body) = answer.await.map_err(status_of)?.into_parts();
    // An answer without a message has its status in its head.
    refusal(&head.headers)?;
    if head.status != StatusCode::OK {
        return Err(Status::new(code_of_http(head.status), "no gRPC answered"));
    }
    let message = read(body).await?;
    let metadata = MetadataMap::from_headers(head.headers);
    Ok(Response::from_parts(metadata, message, http::Extensions::new()))
}

fn head(target: &Target, path: &'static str, mut headers: HeaderMap) -> Result<Request<()>, Status> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(target.scheme.clone());
    uri.authority = Some(target.authority.clone());
    uri.path_and_query = Some(PathAndQuery::from_static(path));
    let uri = Uri::from_parts(uri).map_err(|fault| Status::internal(fault.to_string()))?;
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(USER_AGENT, HeaderValue::from_static("student-coaching"));
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Up to eight digits and a unit.
fn grpc_timeout(limit: Duration) -> HeaderValue {
    let (amount, unit) = match limit.as_micros() {
        micros @ ..100_000_000 => (micros, 'u'),
        micros => ((micros / 1_000).min(99_999_999), 'm'),
    };
    let mut value =
        HeaderValue::try_from(format!("{amount}{unit}")).unwrap_or_else(|_| HeaderValue::from_static("0u"));
    // No other call repeats it: it would only push the rest out of HPACK's table.
    value.set_sensitive(true);
    value
}

/// The one message of an answer, when its trailers say that all went well.
async fn read(mut body: RecvStream) -> Result<Bytes, Status> {
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(status_of)?;
        let _ = body.flow_control().release_capacity(part.len());
        if whole.is_empty() && parts.is_empty() {
            // Most answers are one part.
            whole = part;
            continue;
        }
        parts.extend_from_slice(&std::mem::take(&mut whole));
        if parts.len() + part.len() > PREFIX + MAX_MESSAGE_BYTES {
            return Err(Status::out_of_range("the answer is too large"));
        }
        parts.extend_from_slice(&part);
    }
    let trailers = body.trailers().await.map_err(status_of)?;
    refusal(&trailers.ok_or_else(|| Status::unknown("the answer has no end"))?)?;
    let whole = if parts.is_empty() { whole } else { parts.freeze() };
    match whole.split_at_checked(PREFIX) {
        Some(([0, length @ ..], message)) if message.len() as u64 == u64::from(be_u32(length)) => {
            Ok(whole.slice(PREFIX..))
        }
        _ => Err(Status::internal("the answer is not one plain message")),
    }
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// What headers say of the call's outcome, unless that it went well, or nothing.
pub fn refusal(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(Status::GRPC_STATUS) {
        Some(code) if code != "0" => {
            Err(Status::from_header_map(headers)
                .unwrap_or_else(|| Status::unknown("the status cannot be read")))
        }
        _ => Ok(()),
    }
}

/// gRPC's table for answers of something that speaks HTTP alone.
pub fn code_of_http(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    }
}

pub fn status_of(fault: h2::Error) -> Status {
    let code = match fault.reason() {
        Some(Reason::CANCEL) if fault.is_remote() && fault.is_reset() => Code::Cancelled,
        Some(Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(Reason::REFUSED_STREAM | Reason::NO_ERROR) | None => Code::Unavailable,
        Some(_) if fault.is_reset() => Code::Internal,
        // The connection is gone.
        Some(_) => Code::Unavailable,
    };
    let mut status = Status::new(code, fault.to_string());
    // That it is no answer of a service is seen by its source.
    status.set_source(Arc::new(fault));
    status
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn connect(target: &Target) -> Result<SendRequest<Bytes>, BoxError> {
    let uri = Uri::builder()
        .scheme(target.scheme.clone())
        .authority(target.authority.clone())
        .path_and_query("/")
        .build()?;
    match &target.connector {
        Connector::Plain(connector) => handshake(connector.clone().oneshot(uri).await?.into_inner()).await,
        Connector::Tls(connector) => handshake(connector.clone().oneshot(uri).await?.into_inner()).await,
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Bytes>, BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, mut connection) = Builder::new()
        .enable_push(false)
        // Until the server has said how many it takes.
        .initial_max_send_streams(FIRST_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(stream)
        .await?;
    let pings = connection.ping_pong();
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = connection => ended.map_err(BoxError::from),
            fault = keep_alive(pings) => Err(fault),
        };
        if let Err(fault) = ended {
            tracing::debug!(error = &*fault as &dyn std::error::Error, "a connection ended");
        }
    });
    Ok(sender)
}

/// Ends when the other side does not answer.
async fn keep_alive(pings: Option<PingPong>) -> BoxError {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(KEEPALIVE).await;
        match timeout(KEEPALIVE, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => return fault.into(),
            Err(_) => return io::Error::from(io::ErrorKind::TimedOut).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_eight_digits_at_most() {
        for (limit, text) in [
            (Duration::from_millis(250), "250000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_hours(100_000), "99999999m"),
        ] {
            assert_eq!(grpc_timeout(limit), text);
        }
    }

    #[test]
    fn a_message_has_its_length_before_it() {
        assert_eq!(frame(b"abc").unwrap(), &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(be_u32(&[0, 1, 0, 2]), 0x0001_0002);
        assert!(frame(&vec![0; MAX_MESSAGE_BYTES + 1]).is_err());
    }
}
