//! Answers that nobody takes. A limit on writes to the socket does not see all of them: over HTTP/2 a client can read and answer
//! pings for ever and never open the window of its streams, while each of its answers stays in memory.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::heads::Answering;

/// An answer is handed over in pieces of this size, so that one that stands still is seen to.
const PIECE: usize = 16 << 10;
/// From so many on the list is swept, and again when it has doubled.
const SWEEP_FROM: usize = 8;

/// The answers of one connection that are on their way.
#[derive(Clone)]
pub struct Answers {
    since: Instant,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    /// When each was last taken of. Those that are gone are still in here until they are swept out.
    answers: Vec<Weak<AtomicU64>>,
    /// What the last sweep left.
    swept: usize,
}

impl Open {
    fn push(&mut self, taken: &Arc<AtomicU64>) {
        if self.answers.len() >= SWEEP_FROM.max(2 * self.swept) {
            self.sweep();
        }
        self.answers.push(Arc::downgrade(taken));
    }

    fn sweep(&mut self) {
        self.answers.retain(|answer| answer.strong_count() > 0);
        self.swept = self.answers.len();
    }
}

impl Answers {
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            open: Arc::default(),
        }
    }

    /// The answer with a body that tells when a piece of it was last taken.
    pub fn watch(&self, response: Response, mut answering: Option<Answering>) -> Response<Watched> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(answering) = &mut answering
        {
            answering.was_last();
        }
        response.map(|body| {
            let taken = Arc::new(AtomicU64::new(self.now()));
            if !hyper::body::Body::is_end_stream(&body) {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.push(&taken);
            }
            Watched {
                body,
                rest: Bytes::new(),
                since: self.since,
                taken,
                _answering: answering,
            }
        })
    }

    /// Ends when no piece of some answer has been taken for this long.
    pub async fn stall(&self, limit: Duration) {
        loop {
            let oldest = self
                .oldest()
                .map_or_else(Instant::now, |taken| self.since + Duration::from_millis(taken));
            if oldest.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(oldest + limit).await;
        }
    }

    fn oldest(&self) -> Option<u64> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.sweep();
        let answers = open.answers.iter();
        answers
            .filter_map(|answer| Some(answer.upgrade()?.load(Ordering::Relaxed)))
            .min()
    }

    fn now(&self) -> u64 {
        millis(self.since)
    }
}

/// Enough for 584 million years.
fn millis(since: Instant) -> u64 {
    since.elapsed().as_millis() as u64
}

pub struct Watched {
    body: Body,
    /// Of the last frame, what has not been handed over.
    rest: Bytes,
    since: Instant,
    taken: Arc<AtomicU64>,
    _answering: Option<Answering>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.taken.store(millis(self.since), Ordering::Relaxed);
        if self.rest.is_empty() {
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                other => return other,
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
