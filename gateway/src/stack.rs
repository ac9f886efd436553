//! The middleware stack, in one function: each step with the reason for its place. Plain functions around one future: a layer of axum's
//! own for each would copy and box all below it for every request.

mod access_log;
mod compress;
mod cors;
mod edge;
mod headers;
mod identify;
mod observe;
mod protect;
mod route_metrics;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::{BoxError, Router};
use bytes::Bytes;
use clock::Clock;
use futures::FutureExt;
use http::header::ORIGIN;
use http::{Method, Uri};
use hyper::body::Body as HttpBody;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::config::HttpSettings;
use crate::listen::Peer;
use access_log::AccessLog;
use compress::{Accepted, Compress};
use cors::Cors;
pub use edge::Edge;
use identify::Identity;
use observe::Observed;

/// Puts the stack around the routes.
pub fn around(routes: Router, settings: &HttpSettings, clock: Clock) -> Edge {
    let stack = Stack {
        log: AccessLog::new(settings.access_log_per_second, clock.clone()),
        identity: Identity {
            trusted: settings.trusted_proxies().into(),
            clock,
        },
        cors: Cors::new(settings),
        compress: Compress::new(),
        in_flight: Semaphore::new(settings.max_in_flight),
        timeout: Duration::from_secs(settings.request_timeout_seconds),
    };
    Edge::new(Arc::new(stack), routes)
}

struct Stack {
    identity: Identity,
    log: AccessLog,
    cors: Cors,
    compress: Compress,
    in_flight: Semaphore,
    timeout: Duration,
}

/// Where a request came from, and what it goes to.
struct Asked<'a> {
    peer: Option<Peer>,
    uri: &'a Uri,
    /// The template of its path.
    route: &'a str,
}

impl Stack {
    /// A request passes it from the top of this function to its bottom, its answer the other way.
    async fn answer<F: Future<Output = Response>>(
        &self,
        asked: Asked<'_>,
        mut request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let Asked { peer, uri, route } = asked;
        let deadline = Instant::now() + self.timeout;
        // 0. Outermost: who asks and under which id, as everything below is told in these terms.
        let context = Arc::new(self.identity.context(peer, deadline, request.headers_mut()));
        let work = async {
            // 1. The span, the access line and the metrics see the final status of everything below.
            let observed = Observed::begin(&context, request.method(), uri, route);
            let work = async {
                // 2. Security headers go on every answer, those of CORS included.
                let mut response = 'secured: {
                    // 2b. What a proxy in front may have read otherwise goes no further.
                    let two_readings = protect::two_readings(request.version(), request.headers(), uri);
                    if let Some(refusal) = two_readings {
                        break 'secured refusal;
                    }
                    // 3. CORS answers preflights itself, and its headers have to be on refusals as well or browsers hide them.
                    if request.method() == Method::OPTIONS {
                        break 'secured Box::pin(self.cors.preflight(request.headers())).await;
                    }
                    let origin = request.headers().get(ORIGIN).cloned();
                    let accepted = Accepted::of(request.headers());
                    // 5. Concurrency limit with load shedding: over the limit the answer is immediate; nobody queues.
                    let response = match protect::enter(&self.in_flight, uri) {
                        // 6. The time limit is inside the shedding: a request that is given up frees its place.
                        // 7. Innermost: a panic of a handler becomes an answer like any other.
                        Ok(_place) => {
                            // Pinned in its place, as a time limit moves what it is put around.
                            let work = pin!(AssertUnwindSafe(next(request)).catch_unwind());
                            protect::outcome(timeout_at(deadline, work).await, uri)
                        }
                        Err(refusal) => refusal,
                    };
                    // 4. Compression outside of all that can answer, inside of what looks at status and headers alone.
                    let response = self.compress.apply(accepted, response).await;
                    self.cors.told(origin, response).await
                };
                headers::secure(&mut response, peer.is_some_and(|peer| peer.is_tls));
                response
            };
            let response = work.instrument(observed.span.clone()).await;
            observed.end(&self.log, response.status());
            response
        };
        let mut response = request_context::scope(Arc::clone(&context), work).await;
        identify::sign(&context, &mut response);
        response
    }
}

/// What a layer of somebody else's makes of an answer to such a request.
async fn through<L, B>(layer: &L, request: http::Request<()>, answer: Response) -> Response
where
    L: Layer<Answered>,
    L::Service: Service<http::Request<()>, Response = Response<B>, Error = Infallible>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match layer.layer(Answered(answer)).call(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// What is behind a layer when its answer is there already.
struct Answered(Response);

impl Service<http::Request<()>> for Answered {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        ready(Ok(std::mem::take(&mut self.0)))
    }
}
