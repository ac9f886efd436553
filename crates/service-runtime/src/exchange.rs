//! The server's half of [`rpc_client::exchange`]: calls of one stream, each served as if it had come alone.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use problem::{Problem, codes};
use rpc_client::exchange::{Call, LEAVING, MAX_MESSAGE_BYTES, PATH, PREFIX, Reply, SERVICE, frame};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceExt};

/// A stream is left after this, well before a connection with TLS has to end.
const AGE: Duration = Duration::from_mins(50);
/// So long a caller may take to leave; what is under way is answered all the same.
const LEAVE: Duration = Duration::from_secs(10);
/// Calls of one stream that are served at a time; more are refused. Twice what our own callers send.
const MAX_CALLS: usize = 2_048;
/// Replies that wait for a caller who does not read; then its calls wait with them.
const MAX_REPLIES: usize = 256;

/// Serves `sc.calls.v1.Calls` with the stack around all methods.
#[derive(Clone)]
pub struct Exchange<S> {
    calls: S,
    closing: CancellationToken,
}

impl<S> Exchange<S> {
    /// `closing`: the process takes no further calls.
    pub fn new(calls: S, closing: CancellationToken) -> Self {
        Self { calls, closing }
    }
}

impl<S> NamedService for Exchange<S> {
    const NAME: &'static str = SERVICE;
}

impl<S> Service<Request<Body>> for Exchange<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(ready(Ok(Status::unimplemented("no such method").into_http())));
        }
        let exchange = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Reply, Call>::default());
            Ok(grpc.streaming(exchange, request).await)
        })
    }
}

impl<S> StreamingService<Call> for Exchange<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type ResponseStream = BoxStream<'static, Result<Reply, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Call>>) -> Self::Future {
        let (tell, told) = mpsc::channel(MAX_REPLIES);
        let running = Arc::new(Running {
            tell,
            calls: Mutex::default(),
        });
        let caller = Caller(Arc::downgrade(&running));
        tokio::spawn(serve(self.clone(), request.into_inner(), running));
        let replies = stream::unfold((told, caller), |(mut told, caller)| async {
            let reply = told.recv().await?;
            Some((Ok(reply), (told, caller)))
        });
        ready(Ok(tonic::Response::new(replies.boxed())))
    }
}

/// The calls of a stream. Its end is that of the replies.
struct Running {
    tell: mpsc::Sender<Reply>,
    /// Without a handle for the moment in which a call begins.
    calls: Mutex<HashMap<u64, Option<AbortHandle>>>,
}

/// Goes with the replies: however the stream ends, nobody waits any more.
struct Caller(Weak<Running>);

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(running) = self.0.upgrade() {
            running.give_all_up();
        }
    }
}

async fn serve<S>(exchange: Exchange<S>, mut calls: Streaming<Call>, running: Arc<Running>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let leaving = async {
        tokio::select! {
            () = exchange.closing.cancelled() => {}
            () = sleep(AGE) => {}
        }
    };
    tokio::pin!(leaving);
    let mut last: Option<Pin<Box<Sleep>>> = None;
    loop {
        tokio::select! {
            call = calls.message() => match call {
                Ok(Some(call)) if call.path.is_empty() => running.give_up(call.id),
                Ok(Some(call)) => running.begin(&exchange.calls, call),
                // The caller has said all; what is under way is answered.
                Ok(None) => return,
                // The caller is gone.
                Err(_) => return running.give_all_up(),
            },
            () = &mut leaving, if last.is_none() => {
                last = Some(Box::pin(sleep(LEAVE)));
                let _ = running.tell.send(Reply::leaving()).await;
            }
            // A caller that does not go is heard no longer.
            () = over(&mut last) => return,
        }
    }
}

async fn over(last: &mut Option<Pin<Box<Sleep>>>) {
    match last {
        Some(last) => last.as_mut().await,
        None => pending().await,
    }
}

impl Running {
    fn begin<S>(self: &Arc<Self>, service: &S, call: Call)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let id = call.id;
        let has_place = {
            let mut calls = self.calls.lock();
            let has_place = calls.len() < MAX_CALLS && id != LEAVING && !calls.contains_key(&id);
            if has_place {
                calls.insert(id, None);
            }
            has_place
        };
        if !has_place {
            metrics::counter!("queue_full_total", "queue" => "calls").increment(1);
            let refused = Status::from(Problem::new(&codes::OVERLOADED));
            // Who does not even read hears nothing.
            let _ = self.tell.try_send(Reply::refusal(id, &refused));
            return;
        }
        let under_way = UnderWay {
            running: Arc::clone(self),
            id,
            is_told: false,
        };
        let service = service.clone();
        let task = tokio::spawn(async move {
            let reply = answer(service, call).await;
            under_way.tell(reply).await;
        });
        // Not spawned under the lock: a runtime that shuts down drops the call at once, and that takes it.
        if let Some(call) = self.calls.lock().get_mut(&id) {
            *call = Some(task.abort_handle());
        }
    }

    /// Ends a call that nobody waits for, as the end of a stream of its own would.
    fn give_up(&self, id: u64) {
        let call = self.calls.lock().remove(&id);
        if let Some(call) = call.flatten() {
            call.abort();
        }
    }

    fn give_all_up(&self) {
        let left = std::mem::take(&mut *self.calls.lock());
        left.into_values().flatten().for_each(|call| call.abort());
    }
}

/// A call whose caller is told its end, whatever that is.
struct UnderWay {
    running: Arc<Running>,
    id: u64,
    is_told: bool,
}

impl UnderWay {
    async fn tell(mut self, reply: Reply) {
        let _ = self.running.tell.send(reply).await;
        self.is_told = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let was_wanted = self.running.calls.lock().remove(&self.id).is_some();
        if !self.is_told && was_wanted {
            let died = Status::from(Problem::internal("a call ended without an answer"));
            let _ = self.running.tell.try_send(Reply::refusal(self.id, &died));
        }
    }
}

async fn answer<S>(service: S, call: Call) -> Reply
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
{
    let id = call.id;
    let outcome = match request(call) {
        Ok(request) => match service.oneshot(request).await {
            Ok(response) => outcome(response).await,
            Err(never) => match never {},
        },
        Err(status) => Err(status),
    };
    match outcome {
        Ok((message, metadata)) => Reply::ok(id, message, &metadata),
        Err(status) => Reply::refusal(id, &status),
    }
}

/// The call as it would have come alone; its context is given beside it.
fn request(call: Call) -> Result<Request<Body>, Status> {
    let context = call.request_context();
    let uri = Uri::try_from(call.path).map_err(|_| Status::unimplemented("no such method"))?;
    let mut request = Request::new(Body::new(Full::new(frame(&call.message)?)));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri;
    let content_type = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    request.extensions_mut().insert(context);
    Ok(request)
}

/// The message of an answer, or its status, wherever that is.
async fn outcome(response: Response<Body>) -> Result<(Bytes, MetadataMap), Status> {
    let (head, body) = response.into_parts();
    let refusal = |headers| match Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => Err(status),
        _ => Ok(()),
    };
    refusal(&head.headers)?;
    let body = body.collect().await?;
    if let Some(trailers) = body.trailers() {
        refusal(trailers)?;
    }
    let frame = body.to_bytes();
    match frame.split_at_checked(PREFIX) {
        // It would end the stream, and with it all that is under way.
        Some((_, message)) if message.len() > MAX_MESSAGE_BYTES => {
            Err(Status::out_of_range("the answer is too large"))
        }
        Some(([0, ..], _)) => Ok((frame.slice(PREFIX..), MetadataMap::from_headers(head.headers))),
        _ => Err(Status::internal("the answer is not one plain message")),
    }
}

#[cfg(test)]
mod tests;
