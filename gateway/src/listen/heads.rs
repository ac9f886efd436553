//! How long a client may take for the head of a request, once it has begun one. hyper has one limit for that and for the time between
//! requests; a connection that is kept may rest for longer than a head may take. And whether it rests: hyper does not tell.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Version};
use hyper::body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::first_head::FirstHead;

/// Nothing was asked yet, or it is HTTP/2, which has pings.
const UNWATCHED: u8 = 0;
const ANSWERING: u8 = 1;
const RESTING: u8 = 2;

/// What a connection is doing.
#[derive(Clone)]
pub struct Phase(Arc<Shared>);

struct Shared {
    phase: AtomicU8,
    /// Requests so far.
    asked: AtomicU64,
    /// Bytes in the body of the last one.
    body: AtomicU64,
    /// hyper holds nothing of the connection: no byte of a request or an answer.
    idle: AtomicBool,
}

/// Of a body that does not say how long it is.
const UNKNOWN: u64 = u64::MAX;

impl Phase {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            phase: AtomicU8::new(UNWATCHED),
            asked: AtomicU64::new(0),
            body: AtomicU64::new(0),
            idle: AtomicBool::new(false),
        }))
    }

    /// A request has begun; it ends when what this gives is dropped.
    pub fn answering<B: Body>(&self, request: &Request<B>) -> Option<Answering> {
        (request.version() < Version::HTTP_2).then(|| {
            self.0.phase.store(ANSWERING, Ordering::Relaxed);
            let body = request.body().size_hint().exact().unwrap_or(UNKNOWN);
            self.0.body.store(body, Ordering::Relaxed);
            self.0.asked.fetch_add(1, Ordering::Relaxed);
            Answering {
                phase: self.clone(),
                then: RESTING,
            }
        })
    }

    /// Between two requests, whether or not hyper holds a part of the next one.
    pub fn is_resting(&self) -> bool {
        self.0.phase.load(Ordering::Relaxed) == RESTING
    }

    /// It is being closed.
    fn end(&self) {
        self.0.phase.store(UNWATCHED, Ordering::Relaxed);
        self.set_idle(false);
    }

    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Whether hyper can be taken away from the connection, once it has been polled.
    pub fn is_idle(&self) -> bool {
        self.0.idle.load(Ordering::Relaxed)
    }

    fn set_idle(&self, is_idle: bool) {
        self.0.idle.store(is_idle, Ordering::Relaxed);
    }
}

pub struct Answering {
    phase: Phase,
    then: u8,
}

impl Answering {
    /// The connection speaks another protocol from now on: there are no more heads.
    pub fn was_last(&mut self) {
        self.then = UNWATCHED;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.phase.0.phase.store(self.then, Ordering::Relaxed);
    }
}

/// A connection whose heads have to arrive in time.
pub struct TimedHeads<S> {
    stream: S,
    phase: Phase,
    limit: Duration,
    due: Option<Due>,
    seen: Seen,
}

/// While a head arrives.
struct Due {
    /// Until when it has to be whole.
    at: Instant,
    /// How many requests came before it.
    before: u64,
    /// Made when it does not come in one piece, as nearly all do.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Due {
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.at)));
        timer.as_mut().poll(context).is_ready()
    }
}

/// What has passed between the client and hyper.
struct Seen {
    /// How many requests came before.
    before: u64,
    /// Bytes that hyper was given.
    given: u64,
    head: FirstHead,
    /// There was nothing more to read. hyper asks for more only when it holds nothing, or a part of a head.
    is_read: bool,
    /// Nothing is left to write, and all of an answer was.
    is_flushed: bool,
}

impl Seen {
    /// Nothing was asked, or one request as long as it said. Of several at once, hyper may hold a part.
    fn is_whole(&self, phase: &Phase) -> bool {
        match phase.asked() - self.before {
            0 => self.given == 0,
            1 => self.head.end().is_some_and(|head| {
                let body = phase.0.body.load(Ordering::Relaxed);
                body != UNKNOWN && self.given.checked_sub(head) == Some(body)
            }),
            _ => false,
        }
    }
}

impl<S> TimedHeads<S> {
    pub fn new(stream: S, phase: Phase, limit: Duration) -> Self {
        phase.set_idle(false);
        let seen = Seen {
            before: phase.asked(),
            given: 0,
            head: FirstHead::default(),
            is_read: false,
            is_flushed: true,
        };
        Self {
            stream,
            phase,
            limit,
            due: None,
            seen,
        }
    }

    fn tell(&self) {
        let seen = &self.seen;
        let is_idle =
            seen.is_read && seen.is_flushed && self.phase.is_resting() && seen.is_whole(&self.phase);
        self.phase.set_idle(is_idle);
    }

    fn busy(&mut self) {
        self.seen.is_flushed = false;
        self.phase.set_idle(false);
    }
}

impl<S: AsyncRead + Unpin> TimedHeads<S> {
    fn read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.seen.is_read = polled.is_pending();
        if polled.is_pending() {
            self.tell();
        } else {
            self.busy();
            let new = &buffer.filled()[before..];
            self.seen.given += new.len() as u64;
            self.seen.head.feed(new);
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedHeads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.phase.is_resting() {
            self.due = None;
            return self.read(context, buffer);
        }
        // An answer that was ready at once leaves no read between its head and the rest after it.
        let asked = self.phase.asked();
        self.due.take_if(|due| due.before != asked);
        if self.due.as_mut().is_some_and(|due| due.is_over(context)) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(self.read(context, buffer))?;
        if buffer.filled().len() > before && self.due.is_none() {
            self.due = Some(Due {
                at: Instant::now() + self.limit,
                before: asked,
                timer: None,
            });
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedHeads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.busy();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.busy();
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        // Before an answer there is nothing to write either.
        if polled.is_ready() && self.phase.is_resting() {
            self.seen.is_flushed = true;
            self.tell();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.phase.end();
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::pin;

    use axum::body::Body as AnyBody;
    use http::Response;
    use http_body_util::BodyExt;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::listen::untaken::Answers;

    /// Whether hyper holds nothing more once it has answered what came in these pieces.
    async fn is_idle_after(pieces: &[&str], answers: usize) -> bool {
        let phase = Phase::new();
        let (mut client, server) = duplex(64 << 10);
        let heads = TimedHeads::new(server, phase.clone(), Duration::from_secs(5));
        let on_their_way = Answers::new();
        let service = service_fn(|request: Request<Incoming>| {
            let answering = phase.answering(&request);
            let answers = on_their_way.clone();
            async move {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(answers.watch(Response::new(AnyBody::from("yes")), answering))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(heads), service);
        let mut connection = pin!(connection);
        let talk = async {
            for piece in pieces {
                client.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut heard = String::new();
            while heard.matches("yes").count() < answers {
                let mut piece = [0; 4_096];
                let length = client.read(&mut piece).await.unwrap();
                heard.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
        };
        let mut talk = pin!(talk);
        let mut has_heard = false;
        poll_fn(|context| {
            assert!(connection.as_mut().poll(context).is_pending());
            if !has_heard && talk.as_mut().poll(context).is_ready() {
                has_heard = true;
                // What was written since has to be read.
                assert!(connection.as_mut().poll(context).is_pending());
            }
            if has_heard { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        phase.is_idle()
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const PUT: &str = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";

    #[tokio::test]
    async fn hyper_holds_nothing_after_a_request() {
        assert!(is_idle_after(&[GET], 1).await);
        assert!(is_idle_after(&["GET / HT", "TP/1.1\r\nHost: x\r\n\r", "\n"], 1).await);
        assert!(is_idle_after(&[PUT, "he", "llo"], 1).await);
        assert!(is_idle_after(&[&format!("{PUT}hello")], 1).await);
    }

    #[tokio::test]
    async fn hyper_may_hold_a_part_of_the_next_one() {
        assert!(!is_idle_after(&[&format!("{GET}GET /")], 1).await);
        assert!(!is_idle_after(&[&format!("{PUT}helloG")], 1).await);
        assert!(!is_idle_after(&[&format!("{GET}{GET}")], 2).await);
        let chunked = "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        assert!(
            !is_idle_after(&[chunked], 1).await,
            "nobody knows how long it was"
        );
    }
}
