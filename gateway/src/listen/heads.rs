//! How long a client may take for the head of a request, once it has begun one. hyper has one limit for that and for the time between
//! requests; a connection that is kept may rest for longer than a head may take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

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
}

impl Phase {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            phase: AtomicU8::new(UNWATCHED),
            asked: AtomicU64::new(0),
        }))
    }

    /// A request has begun; it ends when what this gives is dropped.
    pub fn answering(&self, version: Version) -> Option<Answering> {
        (version < Version::HTTP_2).then(|| {
            self.0.phase.store(ANSWERING, Ordering::Relaxed);
            self.0.asked.fetch_add(1, Ordering::Relaxed);
            Answering {
                phase: self.clone(),
                then: RESTING,
            }
        })
    }

    fn is_resting(&self) -> bool {
        self.0.phase.load(Ordering::Relaxed) == RESTING
    }

    fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
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

impl<S> TimedHeads<S> {
    pub fn new(stream: S, phase: Phase, limit: Duration) -> Self {
        Self {
            stream,
            phase,
            limit,
            due: None,
        }
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
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        // An answer that was ready at once leaves no read between its head and the rest after it.
        let asked = self.phase.asked();
        self.due.take_if(|due| due.before != asked);
        if self.due.as_mut().is_some_and(|due| due.is_over(context)) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
