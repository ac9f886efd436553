//! Every RPC with an HTTP rule as a route, through one generic handler.

mod body;
mod endpoint;
mod files;
mod reply;
pub mod shared;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use contracts::{Method, Rest, RestInput, RestVisitor};
use futures::StreamExt;
use http::{HeaderMap, Uri};
use problem::{Kind, Problem, codes};
use request_context::{RequestContext, header};
use rpc_client::RpcClient;

use self::endpoint::{Content, Endpoint};
use self::shared::SharedAnswer;
use crate::admission::{Admitted, admit};
use crate::answer::problem_answer;
use crate::app::Gateway;

/// Collects the routes of all RPCs.
pub struct Routes {
    router: Router<Arc<Gateway>>,
}

impl Routes {
    pub fn of_all_rpcs(gateway: &Arc<Gateway>) -> Router {
        let mut routes = Self {
            router: Router::new(),
        };
        contracts::visit_routes(&mut routes);
        routes.router.with_state(Arc::clone(gateway))
    }
}

impl RestVisitor for Routes {
    fn route<R: Rest>(&mut self) {
        let Some(http) = R::METHOD.http else { return };
        let verb = match http.verb {
            "GET" => MethodFilter::GET,
            "POST" => MethodFilter::POST,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            _ => MethodFilter::DELETE,
        };
        let router = std::mem::take(&mut self.router);
        self.router = router.route(http.path, served_by(verb, Endpoint::of::<R>()));
    }
}

fn served_by(verb: MethodFilter, endpoint: Endpoint) -> MethodRouter<Arc<Gateway>> {
    on(
        verb,
        move |State(gateway): State<Arc<Gateway>>,
              path: Result<RawPathParams, RawPathParamsRejection>,
              request: Request| handle(gateway, endpoint, path, request),
    )
}

async fn handle(
    gateway: Arc<Gateway>,
    endpoint: Endpoint,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let (limits, admitted) = admit(&gateway, endpoint.method, &head.headers).await;
    let served = match admitted {
        Ok(admitted) => {
            serve_or_share(&gateway, endpoint, admitted, path, &head.uri, &head.headers, body).await
        }
        Err(problem) => Err(problem),
    };
    let mut response = served.unwrap_or_else(|problem| {
        problem.log();
        problem_answer(&problem, &head.uri)
    });
    response.headers_mut().extend(limits);
    response
}

async fn serve_or_share(
    gateway: &Gateway,
    endpoint: Endpoint,
    admitted: Admitted,
    path: Result<RawPathParams, RawPathParamsRejection>,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let path =
        path.map_err(|_| Problem::new(&codes::MALFORMED_REQUEST).with_detail("the path is not UTF-8"))?;
    let whole = uri.path_and_query().map_or("", |whole| whole.as_str());
    if let Some(key) = gateway.shared.key(endpoint.method, &admitted.caller, whole) {
        match gateway
            .shared
            .get(key, fetch(gateway, endpoint, &path, uri))
            .await
        {
            Ok(Some(answer)) => return Ok(answer.response(headers)),
            // Who waited for somebody else's refusal is answered in person.
            Ok(None) => {}
            // So is who is signed in, when nobody may have it.
            Err(problem) if problem.kind() == Kind::Unauthenticated && admitted.token.is_some() => {}
            Err(problem) => return Err(problem),
        }
    }
    let is_write = endpoint.method.http.is_some_and(|http| http.verb != "GET");
    let served = serve(gateway, endpoint, admitted.token, path, uri, headers, body).await;
    if is_write {
        // Also when it failed: it may have been done all the same.
        gateway.shared.written(endpoint.method);
    }
    served
}

/// The answer that everybody gets: asked for without a caller.
async fn fetch(
    gateway: &Gateway,
    endpoint: Endpoint,
    path: &RawPathParams,
    uri: &Uri,
) -> Result<SharedAnswer, Problem> {
    let path: Vec<(&str, &str)> = path.iter().collect();
    let request = (endpoint.bind)(RestInput {
        path: &path,
        query: uri.query(),
        body: b"",
        is_file: false,
    })?;
    let context = RequestContext {
        authorization: None,
        idempotency_key: None,
        ..request_context::current()
    };
    let call = client(gateway, endpoint.method)?.call_encoded(endpoint.method, request);
    let answer = request_context::scope(context, call).await?;
    match (endpoint.read)(answer.into_inner())?.content {
        Content::Json(json) => SharedAnswer::of(json),
        _ => Err(Problem::internal("an answer that may be shared is JSON")),
    }
}

fn client<'a>(gateway: &'a Gateway, method: &Method) -> Result<&'a RpcClient, Problem> {
    gateway
        .clients
        .of(method.service)
        .ok_or_else(|| Problem::internal("an RPC of no service"))
}

async fn serve(
    gateway: &Gateway,
    endpoint: Endpoint,
    token: Option<String>,
    path: RawPathParams,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let method = endpoint.method;
    let _place = gateway.shedding.enter(method.policy.rate_class, method.service)?;
    let idempotency_key = idempotency_key(headers)?;
    let body = body::read(&method.policy, headers, uri.query(), body, gateway.body_timeout).await?;
    let path: Vec<(&str, &str)> = path.iter().collect();
    let request = (endpoint.bind)(RestInput {
        path: &path,
        query: body.query.as_deref(),
        body: &body.bytes,
        is_file: body.is_file,
    })?;
    let context = RequestContext {
        authorization: token.map(Into::into),
        idempotency_key,
        ..request_context::current()
    };
    let client = client(gateway, endpoint.method)?;
    let first = client.call_encoded(endpoint.method, request.clone());
    let (metadata, bytes, _) = request_context::scope(context.clone(), first).await?.into_parts();
    let answer = (endpoint.read)(bytes)?;
    let more = files::rest_of(endpoint, &answer, request, client, context);
    let mut response = reply::reply(&endpoint.method.policy, &metadata, answer, headers)?;
    if let Some(more) = more {
        let first = std::mem::take(response.body_mut());
        *response.body_mut() = Body::from_stream(first.into_data_stream().chain(more));
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let Some(value) = headers.get(header::IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let is_visible = |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    match value.to_str().ok().filter(is_visible) {
        Some(key) => Ok(Some(key.into())),
        None => Err(Problem::new(&codes::MALFORMED_REQUEST)
            .with_detail("Idempotency-Key has to be 1 to 255 visible ASCII characters")),
    }
}
