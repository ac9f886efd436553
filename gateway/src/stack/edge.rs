//! The whole of the edge: RPCs by their own matcher, all else by axum, both in the stack.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use futures::future::BoxFuture;
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, Uri};
use hyper::body::Body as HttpBody;
use problem::{Problem, codes};
use tower::{Layer, Service, ServiceExt};

use super::{Asked, Stack};
use crate::answer::problem_answer;
use crate::listen::Peer;
use crate::rest::Rpcs;

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    stack: Arc<Stack>,
    rpcs: Option<Rpcs>,
    /// What is no RPC.
    others: Router,
}

impl Edge {
    pub(super) fn new(stack: Arc<Stack>, routes: Router) -> Self {
        let others = routes
            // What no route takes is a problem document too.
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(StackLayer(Arc::clone(&stack)));
        Self(Arc::new(Inner {
            stack,
            rpcs: None,
            others,
        }))
    }

    #[must_use]
    pub fn with_rpcs(self, rpcs: Rpcs) -> Self {
        Self(Arc::new(Inner {
            stack: Arc::clone(&self.0.stack),
            rpcs: Some(rpcs),
            others: self.0.others.clone(),
        }))
    }

    /// An RPC is boxed here and nowhere below, so that a connection holds no room for a request that it does not have.
    pub fn answer(&self, request: Request, peer: Option<Peer>) -> BoxFuture<'static, Response> {
        Box::pin(Arc::clone(&self.0).answer(request, peer))
    }
}

impl Inner {
    async fn answer(self: Arc<Self>, mut request: Request, peer: Option<Peer>) -> Response {
        let uri = request.uri().clone();
        let Some((rpcs, found)) = self
            .rpcs
            .as_ref()
            .and_then(|rpcs| Some((rpcs, rpcs.at(uri.path())?)))
        else {
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            let Ok(response) = Box::pin(self.others.clone().oneshot(request)).await;
            return response;
        };
        let (path, parameters) = (found.value, found.params);
        let is_head = request.method() == Method::HEAD;
        let endpoint = path.endpoint(request.method());
        let asked = Asked {
            peer,
            uri: &uri,
            route: path.template,
        };
        let next = |request| async {
            match endpoint {
                Some(endpoint) => rpcs.handle(endpoint, &parameters, request).await,
                None => method_not_allowed(request).await,
            }
        };
        let mut response = self.stack.answer(asked, request, next).await;
        // As axum ends the answers of its routes.
        let headers = response.headers_mut();
        if endpoint.is_none() && !headers.contains_key(ALLOW) {
            headers.insert(ALLOW, path.allow.clone());
        }
        tell_length(&mut response);
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }
}

fn tell_length(response: &mut Response) {
    if response.headers().contains_key(CONTENT_LENGTH) {
        return;
    }
    let length = match response.body().size_hint().exact() {
        Some(0) => HeaderValue::from_static("0"),
        Some(length) => length.into(),
        None => return,
    };
    response.headers_mut().insert(CONTENT_LENGTH, length);
}

/// Tests ask it without a listener.
#[cfg(test)]
impl Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.answer(request, None);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// Puts the stack around a route of axum's.
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
        Box::pin(async move {
            let uri = request.uri().clone();
            let matched = request.extensions().get::<MatchedPath>().cloned();
            let asked = Asked {
                peer: request.extensions().get::<Peer>().copied(),
                uri: &uri,
                route: matched.as_ref().map_or("unmatched", MatchedPath::as_str),
            };
            let next = |request| async {
                let Ok(response) = route.oneshot(request).await;
                response
            };
            Ok(stack.answer(asked, request, next).await)
        })
    }
}

async fn not_found(uri: Uri) -> Response {
    problem_answer(&Problem::new(&codes::ROUTE_NOT_FOUND), &uri)
}

/// The `Allow` is added where the verbs are known.
async fn method_not_allowed(request: Request) -> Response {
    problem_answer(&Problem::new(&codes::METHOD_NOT_ALLOWED), request.uri())
}
