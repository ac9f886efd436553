//! The stack around every gRPC method, in one place and one order.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use access_token::{Caller, Verifier};
use contracts::{Auth, Method};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use problem::{Problem, codes};
use request_context::RequestContext;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::idempotency::IdempotencyKeys;

const SLOW: Duration = Duration::from_secs(1);
/// Whose the Idempotency-Keys of public routes are.
const ANONYMOUS: &str = "anonymous";

/// Makes the stack; see [`Stack::handle`] for its order.
#[derive(Clone)]
pub struct StackLayer {
    pub verifier: Arc<Verifier>,
    /// `None` for a process without a database.
    pub keys: Option<Arc<IdempotencyKeys>>,
}

impl<S> Layer<S> for StackLayer {
    type Service = Stack<S>;

    fn layer(&self, inner: S) -> Stack<S> {
        Stack {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone)]
pub struct Stack<S> {
    inner: S,
    layer: StackLayer,
}

impl<S> Service<Request<Body>> for Stack<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The instance that was polled ready does the work; its clone stays for the next call.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        let Some(method) = contracts::method(request.uri().path()) else {
            // The standard health service, and names that nobody knows.
            let mut ready = ready;
            return Box::pin(async move { ready.call(request).await });
        };
        Box::pin(handle(self.layer.clone(), ready, method, request))
    }
}

/// The order: context and span, so that all below is logged with them; authentication and policy, before anything is read;
/// the deadline; the idempotency key, as it reads the body; the method itself, whose panic is an answer too.
async fn handle<S>(
    layer: StackLayer,
    inner: S,
    method: &'static Method,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    let started = Instant::now();
    // A call of a stream has its context beside it; extensions come from no wire.
    let context = request.extensions_mut().remove();
    let context = context.unwrap_or_else(|| RequestContext::from_headers(request.headers()));
    let span = tracing::info_span!(
        "grpc",
        otel.kind = "server",
        otel.name = &method.path[1..],
        rpc.system = "grpc",
        rpc.service = method.package_service,
        rpc.method = method.name,
        request_id = context.request_id.as_deref(),
        user_id = tracing::field::Empty,
    );
    context.adopt(&span);
    let remaining = context.remaining();
    let work = async move {
        // In its place: a time limit moves what it is put around.
        let mut answered = pin!(admitted(&layer, inner, method, request));
        match remaining {
            Some(left) => match tokio::time::timeout(left, &mut answered).await {
                Ok(answer) => answer,
                // Writes go on in their own task; only the waiting ends.
                Err(_) => Ok(Status::from(Problem::new(&codes::TIMEOUT)).into_http()),
            },
            None => answered.await,
        }
    };
    let answer = request_context::scope(context, work.instrument(span.clone())).await;
    let elapsed = started.elapsed();
    let status = match &answer {
        Ok(response) => grpc_status(response),
        Err(_) => "transport",
    };
    metrics::histogram!("grpc_server_seconds", "method" => method.name, "status" => status).record(elapsed);
    if elapsed > SLOW {
        span.in_scope(|| tracing::warn!(elapsed_ms = elapsed.as_millis() as u64, status, "slow request"));
    }
    answer
}

async fn admitted<S>(
    layer: &StackLayer,
    mut inner: S,
    method: &'static Method,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    let caller = match authenticate(&layer.verifier, method).await {
        Ok(caller) => caller,
        Err(problem) => return Ok(Status::from(problem).into_http()),
    };
    let mut context = request_context::current();
    if let Caller::User(user) = &caller {
        tracing::Span::current().record("user_id", tracing::field::display(user.id));
        context.user_id = Some(user.id.0);
    }
    let key = context.idempotency_key.clone();
    request.extensions_mut().insert(caller.clone());
    let call = |request| async move {
        match AssertUnwindSafe(inner.call(request)).catch_unwind().await {
            Ok(answer) => answer,
            Err(_) => Ok(Status::from(Problem::internal("a method panicked")).into_http()),
        }
    };
    let work = async move {
        let (Some(keys), Some(key), true) = (&layer.keys, key, method.is_keyed()) else {
            return call(request).await;
        };
        let caller = match caller {
            Caller::User(user) => user.id.to_string(),
            _ => ANONYMOUS.to_owned(),
        };
        keys.once(&caller, method, &key, request, call).await
    };
    request_context::scope(context, work).await
}

/// Who calls, if the method's policy lets them.
async fn authenticate(verifier: &Verifier, method: &Method) -> Result<Caller, Problem> {
    let token = request_context::current().authorization;
    let caller = match (&token, method.policy.auth) {
        // A token on a public route is not looked at: an expired one must not keep anybody from signing in.
        (_, Auth::Public) | (None, Auth::Optional) => Caller::Anonymous,
        (Some(token), _) => verifier.verify(token).await?,
        (None, _) => return Err(Problem::new(&codes::UNAUTHENTICATED)),
    };
    let is_of_its_kind = match (method.policy.auth, &caller) {
        (Auth::Service, Caller::Service(name)) => method.policy.lets(name),
        (Auth::Service, _) | (Auth::Required | Auth::Optional, Caller::Service(_)) => false,
        _ => true,
    };
    if !is_of_its_kind {
        return Err(Problem::new(&codes::PERMISSION_DENIED));
    }
    match method.policy.permission {
        Some(permission) if !caller.has(permission) => Err(Problem::new(&codes::PERMISSION_DENIED)),
        _ => Ok(caller),
    }
}

/// The status that is known when the head is sent; a later one is in the trailers and means `OK` for unary answers.
fn grpc_status(response: &Response<Body>) -> &'static str {
    let code = response
        .headers()
        .get("grpc-status")
        .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    match code {
        Code::Ok => "ok",
        Code::InvalidArgument => "invalid_argument",
        Code::NotFound => "not_found",
        Code::PermissionDenied => "permission_denied",
        Code::Unauthenticated => "unauthenticated",
        Code::FailedPrecondition => "failed_precondition",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::Unavailable => "unavailable",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Internal => "internal",
        _ => "other",
    }
}
