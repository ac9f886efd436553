//! The caller's half of [`crate::exchange`]: the calls of one connection on one stream of it.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{Request, StatusCode};
use parking_lot::Mutex;
use prost::Message;
use request_context::RequestContext;
use tokio::sync::{Notify, Semaphore, oneshot};
use tonic::{Code, Response, Status};

use crate::connection::{code_of_http, refusal, status_of};
use crate::exchange::{Call, LEAVING, MAX_MESSAGE_BYTES, PREFIX, Reply};

/// Calls under way at a time; more wait.
const MAX_CALLS: usize = 1_024;
/// For what stands around a message.
const ENVELOPE_BYTES: usize = 64 << 10;

/// Ends when the last of its copies is gone and its calls are over.
#[derive(Clone)]
pub struct CallStream {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.room.close();
        self.shared.written.notify_one();
    }
}

struct Shared {
    state: Mutex<State>,
    /// There is something to send.
    written: Notify,
    room: Semaphore,
}

#[derive(Default)]
struct State {
    /// Calls, each with gRPC's prefix: what comes until the writer has its turn leaves together.
    outgoing: BytesMut,
    waiting: HashMap<u64, oneshot::Sender<Result<Reply, Status>>>,
    last_id: u64,
    /// No further calls: the server is leaving, the connection has ended, or nobody is there to make them.
    closed: bool,
}

/// The stream takes no further calls; this one was not made.
pub struct Closed;

impl CallStream {
    /// Opens the stream on a connection; `None` where the server does not know it.
    pub async fn open(sender: &mut SendRequest<Bytes>, request: Request<()>) -> Result<Option<Self>, Status> {
        let (answer, calls) = sender.send_request(request, false).map_err(status_of)?;
        let (head, replies) = answer.await.map_err(status_of)?.into_parts();
        let refused = match refusal(&head.headers) {
            Ok(()) if head.status == StatusCode::OK => None,
            Ok(()) => Some(Status::new(code_of_http(head.status), "no gRPC answered")),
            Err(status) => Some(status),
        };
        match refused {
            Some(status) if status.code() == Code::Unimplemented => return Ok(None),
            Some(status) => return Err(status),
            None => {}
        }
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            written: Notify::new(),
            room: Semaphore::new(MAX_CALLS),
        });
        tokio::spawn(drive(Arc::clone(&shared), calls, replies));
        let handle = Arc::new(Handle { shared });
        Ok(Some(Self { handle }))
    }

    pub fn is_open(&self) -> bool {
        !self.handle.shared.state.lock().closed
    }

    /// Makes a call and waits for its outcome. Dropped before, it tells the server that nobody waits any more.
    pub async fn call(
        &self,
        path: &str,
        context: &RequestContext,
        limit: Duration,
        message: Bytes,
    ) -> Result<Result<Response<Bytes>, Status>, Closed> {
        let shared = &*self.handle.shared;
        let Ok(_place) = shared.room.acquire().await else {
            return Err(Closed);
        };
        let (tell, told) = oneshot::channel();
        let mut waiting = {
            let mut call = Call::new(LEAVING, path, message, limit, context);
            let mut state = shared.state.lock();
            if state.closed {
                return Err(Closed);
            }
            state.last_id += 1;
            call.id = state.last_id;
            state.waiting.insert(call.id, tell);
            state.put(&call);
            Waiting {
                shared,
                id: call.id,
                is_over: false,
            }
        };
        shared.written.notify_one();
        let outcome = told.await;
        waiting.is_over = true;
        Ok(match outcome {
            Ok(reply) => reply.and_then(Reply::into_outcome),
            Err(_) => Err(Status::internal("the stream of calls lost one")),
        })
    }
}

impl State {
    fn put(&mut self, call: &Call) {
        let length = call.encoded_len();
        self.outgoing.reserve(PREFIX + length);
        self.outgoing.put_u8(0);
        // Messages that are larger than 32 KiB go another way.
        self.outgoing.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        // There is room for it.
        let _ = call.encode(&mut self.outgoing);
    }
}

struct Waiting<'a> {
    shared: &'a Shared,
    id: u64,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.shared.state.lock();
        if state.waiting.remove(&self.id).is_some() && !state.closed {
            state.put(&Call::given_up(self.id));
            self.shared.written.notify_one();
        }
    }
}

/// Writes and reads until the stream ends; then no call is left without an outcome.
async fn drive(shared: Arc<Shared>, calls: SendStream<Bytes>, replies: RecvStream) {
    let status = tokio::select! {
        status = write(&shared, calls) => status,
        status = read(&shared, replies) => status,
    };
    let left = {
        let mut state = shared.state.lock();
        state.closed = true;
        std::mem::take(&mut state.waiting)
    };
    shared.room.close();
    for tell in left.into_values() {
        let _ = tell.send(Err(status.clone()));
    }
}

/// Ends with what went wrong.
async fn write(shared: &Shared, mut calls: SendStream<Bytes>) -> Status {
    loop {
        shared.written.notified().await;
        // Behind all that is ready to run: what they ask leaves with it.
        tokio::task::yield_now().await;
        let (bytes, is_last) = {
            let mut state = shared.state.lock();
            (state.outgoing.split().freeze(), state.closed)
        };
        if (!bytes.is_empty() || is_last)
            && let Err(fault) = calls.send_data(bytes, is_last)
        {
            return lost(&fault);
        }
        if is_last {
            pending::<()>().await;
        }
    }
}

async fn read(shared: &Shared, mut replies: RecvStream) -> Status {
    let mut buffer = BytesMut::new();
    while let Some(part) = replies.data().await {
        let part = match part {
            Ok(part) => part,
            Err(fault) => return lost(&fault),
        };
        let _ = replies.flow_control().release_capacity(part.len());
        buffer.extend_from_slice(&part);
        match take_replies(&mut buffer) {
            Ok(replies) => tell(shared, replies),
            Err(status) => return status,
        }
    }
    let trailers = replies.trailers().await;
    match trailers.map(|trailers| trailers.map_or(Ok(()), |trailers| refusal(&trailers))) {
        Ok(Ok(())) => Status::unavailable("the stream of calls ended"),
        Ok(Err(status)) => Status::unavailable(format!("the stream of calls ended: {}", status.message())),
        Err(fault) => lost(&fault),
    }
}

/// Whatever ended the stream: its calls may have been served, or not.
fn lost(fault: &h2::Error) -> Status {
    Status::unavailable(fault.to_string())
}

fn take_replies(buffer: &mut BytesMut) -> Result<Vec<Reply>, Status> {
    let mut replies = Vec::new();
    while let Some([flag, length @ ..]) = buffer.first_chunk::<PREFIX>() {
        let length = u32::from_be_bytes(*length) as usize;
        if *flag != 0 || length > MAX_MESSAGE_BYTES + ENVELOPE_BYTES {
            return Err(Status::unavailable("the stream of calls is no plain gRPC"));
        }
        if buffer.len() < PREFIX + length {
            buffer.reserve(PREFIX + length - buffer.len());
            break;
        }
        buffer.advance(PREFIX);
        let reply = Reply::decode(buffer.split_to(length).freeze());
        replies.push(reply.map_err(|fault| Status::unavailable(fault.to_string()))?);
    }
    Ok(replies)
}

fn tell(shared: &Shared, replies: Vec<Reply>) {
    let mut told = Vec::with_capacity(replies.len());
    {
        let mut state = shared.state.lock();
        for reply in replies {
            if reply.id == LEAVING {
                state.closed = true;
                // Who waits for a place finds one elsewhere.
                shared.room.close();
                shared.written.notify_one();
            } else if let Some(tell) = state.waiting.remove(&reply.id) {
                told.push((tell, reply));
            }
        }
    }
    for (tell, reply) in told {
        let _ = tell.send(Ok(reply));
    }
}
