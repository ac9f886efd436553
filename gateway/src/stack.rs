//! The middleware stack, in one function: each step with the reason for its place. Plain functions in one service: a layer of axum's
//! own for each would copy and box all below it for every request.

mod access_log;
mod headers;
mod identify;
mod observe;
mod protect;
mod route_metrics;

use std::convert::Infallible;
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
use futures::future::{BoxFuture, Map};
use http::Uri;
use hyper::body::Body as HttpBody;
use problem::{Problem, codes};
use tokio::sync::Semaphore;
use tower::{Layer, Service};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, DefaultPredicate, Predicate, SizeAbove};
use tower_http::cors::CorsLayer;

use crate::answer::problem_answer;
use crate::config::HttpSettings;
use access_log::AccessLog;
use identify::Identity;

/// Below this a compressed answer is hardly smaller.
const COMPRESS_FROM_BYTES: u64 = 256;

/// Puts the stack around the routes.
pub fn around(routes: Router, settings: &HttpSettings, clock: Clock) -> Router {
    let stack = Stack {
        log: AccessLog::new(settings.access_log_per_second, clock.clone()),
        identity: Identity {
            trusted: settings.trusted_proxies().into(),
            clock,
        },
        cors: headers::cors(settings),
        compression: CompressionLayer::new()
            .compress_when(SizeAbove::new(COMPRESS_FROM_BYTES).and(DefaultPredicate::new())),
        in_flight: Semaphore::new(settings.max_in_flight),
        timeout: Duration::from_secs(settings.request_timeout_seconds),
    };
    routes
        // What no route takes is a problem document too.
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(StackLayer(Arc::new(stack)))
}

struct Stack {
    identity: Identity,
    log: AccessLog,
    cors: CorsLayer,
    compression: CompressionLayer<And<SizeAbove, DefaultPredicate>>,
    in_flight: Semaphore,
    timeout: Duration,
}

impl Stack {
    /// A request passes it from the top of this function to its bottom, its answer the other way.
    async fn answer<R>(&self, request: Request, route: R) -> Response
    where
        R: Service<Request, Response = Response, Error = Infallible>,
    {
        // 0. Outermost: who asks and under which id, as everything below is told in these terms.
        identify::identify(&self.identity, request, |request| {
            // 1. The span, the access line and the metrics see the final status of everything below.
            observe::observe(&self.log, request, |request| {
                // 2. Security headers go on every answer, those of CORS included.
                headers::security(request, |request| {
                    // 2b. What a proxy in front may have read otherwise goes no further.
                    protect::one_reading(request, |request| {
                        // 3. CORS answers preflights itself, and its headers have to be on refusals as well or browsers hide them.
                        through(&self.cors, request, |request| {
                            // 4. Compression outside of all that can answer, inside of what looks at status and headers alone.
                            through(&self.compression, request, |request| {
                                // 5. Concurrency limit with load shedding: over the limit the answer is immediate; nobody queues.
                                protect::shed(&self.in_flight, request, |request| {
                                    // 6. The time limit is inside the shedding: a request that is given up frees its place.
                                    protect::time_out(self.timeout, request, |request| {
                                        // 7. Innermost: a panic of a handler becomes an answer like any other.
                                        protect::catch_panic(request, route)
                                    })
                                })
                            })
                        })
                    })
                })
            })
        })
        .await
    }
}

/// One step that is a layer of somebody else's.
async fn through<L, N, F, B>(layer: &L, request: Request, next: N) -> Response
where
    L: Layer<Once<N>>,
    L::Service: Service<Request, Response = Response<B>, Error = Infallible>,
    N: FnOnce(Request) -> F,
    F: Future<Output = Response>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match layer.layer(Once(Some(next))).call(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// What is behind a step, as a service that is called once.
struct Once<N>(Option<N>);

impl<N, F> Service<Request> for Once<N>
where
    N: FnOnce(Request) -> F,
    F: Future<Output = Response>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Map<F, fn(Response) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.0.take() {
            Some(next) => next(request).map(Ok),
            None => unreachable!("a step hands a request on once"),
        }
    }
}

/// Puts the stack around a route.
#[derive(Clone)]
struct StackLayer(Arc<Stack>);

impl<R> Layer<R> for StackLayer {
    type Service = Stacked<R>;

    fn layer(&self, route: R) -> Stacked<R> {
        let stack = Arc::clone(&self.0);
        Stacked { stack, route }
    }
}

#[derive(Clone)]
struct Stacked<R> {
    stack: Arc<Stack>,
    route: R,
}

impl<R> Service<Request> for Stacked<R>
where
    R: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The route is made ready when it is reached.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { stack, route } = self.clone();
        Box::pin(async move { Ok(stack.answer(request, route).await) })
    }
}

async fn not_found(uri: Uri) -> Response {
    problem_answer(&Problem::new(&codes::ROUTE_NOT_FOUND), &uri)
}

/// axum adds `Allow`.
async fn method_not_allowed(request: Request) -> Response {
    problem_answer(&Problem::new(&codes::METHOD_NOT_ALLOWED), request.uri())
}
