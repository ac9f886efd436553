//! The life of one connection: hyper while there is a request, and nothing but its stream in between.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::heads::{Phase, TimedHeads};
use super::parked::{Home, Readable};
use super::untaken::{Answers, Watched};
use super::{Held, Peer, linger};
use crate::stack::Edge;

/// For the goodbye of TLS.
const GOODBYE: Duration = Duration::from_secs(1);

type Stopped<'a, 'b> = Pin<&'a mut WaitForCancellationFuture<'b>>;

/// What every connection is served under.
pub struct Terms {
    pub first: auto::Builder<TokioExecutor>,
    pub next: http1::Builder,
    /// How long it may rest between two requests.
    pub keep_alive: Duration,
    pub header_timeout: Duration,
    pub write_timeout: Duration,
}

/// What one connection is served with.
pub struct Connection {
    pub terms: Arc<Terms>,
    pub edge: Edge,
    pub stop: CancellationToken,
    pub held: Held,
}

/// Answers the requests of a connection.
struct Answering {
    edge: Edge,
    peer: Peer,
    has_asked: AtomicBool,
    phase: Phase,
    answers: Answers,
}

impl Answering {
    /// No `async fn`: the phase changes before hyper reads on.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Watched>, Infallible>> + Send {
        self.has_asked.store(true, Ordering::Relaxed);
        let answering = self.phase.answering(&request);
        let answer = self.edge.answer(linger::request(request), Some(self.peer));
        async move { Ok(self.answers.watch(answer.await, answering)) }
    }
}

impl Connection {
    /// No `async fn`, which would hold all of this twice for as long as the connection is open.
    pub fn serve<S: Readable>(self, stream: S, peer: Peer) -> impl Future<Output = ()> + Send {
        let Self {
            terms,
            edge,
            stop,
            held,
        } = self;
        let answering = Arc::new(Answering {
            edge,
            peer,
            has_asked: AtomicBool::new(false),
            phase: Phase::new(),
            answers: Answers::new(),
        });
        async move {
            let _held = held;
            // hyper's own limit begins once the HTTP version is known: a client that sends nothing would stay for ever.
            let idleness = async {
                sleep(terms.header_timeout).await;
                if !answering.has_asked.load(Ordering::Relaxed) {
                    return "it asked for nothing";
                }
                answering.answers.stall(terms.write_timeout).await;
                "it did not take its answers"
            };
            tokio::select! {
                () = requests(&terms, &answering, &stop, stream) => {}
                why = idleness => {
                    metrics::counter!("connections_cut_total").increment(1);
                    tracing::debug!(peer = %peer.address, why, "a connection was cut");
                }
            }
        }
    }
}

/// Serves requests until the connection ends.
async fn requests<S: Readable>(
    terms: &Terms,
    answering: &Arc<Answering>,
    stop: &CancellationToken,
    mut stream: S,
) {
    let (home, phase) = (Home::default(), &answering.phase);
    let mut stopped = pin!(stop.cancelled());
    let mut timer = pin!(sleep(terms.keep_alive));
    let mut patience = Patience {
        keep_alive: terms.keep_alive,
        asked: 0,
        until: timer.deadline(),
        timer: timer.as_mut(),
        phase,
    };
    loop {
        let heads = TimedHeads::new(home.lend(stream), phase.clone(), terms.header_timeout);
        let answering = Arc::clone(answering);
        let service = service_fn(move |request| Arc::clone(&answering).answer(request));
        let is_idle = if phase.asked() == 0 {
            let connection = terms
                .first
                .serve_connection_with_upgrades(TokioIo::new(heads), service);
            let end = |connection: Pin<&mut auto::UpgradeableConnection<'_, _, _, _>>| {
                connection.graceful_shutdown();
            };
            until_idle(
                Box::pin(connection.into_owned()),
                end,
                &mut patience,
                stopped.as_mut(),
            )
            .await
        } else {
            let connection = terms.next.serve_connection(TokioIo::new(heads), service);
            let end = |connection: Pin<&mut http1::UpgradeableConnection<_, _>>| {
                connection.graceful_shutdown();
            };
            until_idle(
                Box::pin(connection.with_upgrades()),
                end,
                &mut patience,
                stopped.as_mut(),
            )
            .await
        };
        stream = match home.take() {
            Some(stream) if is_idle => stream,
            _ => return,
        };
        if !rest(&stream, &mut patience, stopped.as_mut()).await {
            let _ = timeout(GOODBYE, stream.shutdown()).await;
            return;
        }
    }
}

/// How long a connection may rest after a request. Bytes that are none do not prolong it.
struct Patience<'a> {
    keep_alive: Duration,
    /// Requests so far.
    asked: u64,
    until: Instant,
    /// Set anew when it is over, and not for each request.
    timer: Pin<&'a mut Sleep>,
    phase: &'a Phase,
}

impl Patience<'_> {
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.phase.asked() > self.asked {
            self.asked = self.phase.asked();
            self.until = Instant::now() + self.keep_alive;
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.until {
                return true;
            }
            self.timer.as_mut().reset(self.until);
        }
        false
    }
}

/// Lets hyper serve; true once it holds nothing of the connection. Boxed, so that its room is free while the connection rests.
async fn until_idle<C, E>(
    mut connection: Pin<Box<C>>,
    end: impl Fn(Pin<&mut C>),
    patience: &mut Patience<'_>,
    mut stopped: Stopped<'_, '_>,
) -> bool
where
    C: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut is_told = false;
    poll_fn(|context| {
        if !is_told && stopped.as_mut().poll(context).is_ready() {
            is_told = true;
            end(connection.as_mut());
        }
        match connection.as_mut().poll(context) {
            Poll::Ready(ended) => {
                if let Err(fault) = ended {
                    let error = &*fault.into() as &(dyn Error + 'static);
                    tracing::debug!(error, "a connection ended badly");
                }
                Poll::Ready(false)
            }
            Poll::Pending if !is_told && patience.phase.is_idle() => Poll::Ready(true),
            // hyper has the connection still, and no timer.
            Poll::Pending if patience.phase.is_resting() && patience.is_over(context) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Waits for the client; false when it has rested for too long, or nothing more is served.
async fn rest<S: Readable>(stream: &S, patience: &mut Patience<'_>, mut stopped: Stopped<'_, '_>) -> bool {
    poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        // A fault is for hyper to find.
        if stream.poll_readable(context).is_ready() {
            return Poll::Ready(true);
        }
        if patience.is_over(context) {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}
