//! Every RPC with an HTTP rule, through one generic handler.

mod body;
mod endpoint;
mod files;
mod paths;
mod reply;
pub mod shared;

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use contracts::{Method, RestInput};
use futures::StreamExt;
use http::{HeaderMap, Uri};
use matchit::{Match, Params};
use percent_encoding::percent_decode_str;
use problem::{Kind, Problem, codes};
use request_context::{RequestContext, header};
use rpc_client::RpcClient;

use self::endpoint::{Content, Endpoint};
use self::paths::{Path, Paths};
use self::shared::{Asked, SharedAnswer};
use crate::admission::{Admitted, admit};
use crate::answer::problem_answer;
use crate::app::Gateway;

/// All RPCs, by their paths.
pub struct Rpcs {
    gateway: Arc<Gateway>,
    paths: Paths,
}

impl Rpcs {
    pub fn of(gateway: &Arc<Gateway>) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            paths: Paths::of_all_rpcs(),
        }
    }

    pub fn at<'a>(&'a self, path: &'a str) -> Option<Match<'a, 'a, &'a Path>> {
        self.paths.at(path)
    }

    /// Answers a request for an RPC with what its path binds.
    pub async fn handle(
        &self,
        endpoint: &Endpoint,
        parameters: &Params<'_, '_>,
        request: Request,
    ) -> Response {
        let gateway = &*self.gateway;
        let (head, body) = request.into_parts();
        let (limits, admitted) = admit(gateway, endpoint.method, &head.headers).await;
        let served = match admitted {
            Ok(admitted) => {
                serve_or_share(
                    gateway,
                    endpoint,
                    admitted,
                    parameters,
                    &head.uri,
                    &head.headers,
                    body,
                )
                .await
            }
            Err(problem) => Err(problem),
        };
        let mut response = served.unwrap_or_else(|problem| {
            problem.log();
            problem_answer(&problem, &head.uri)
        });
        if let Some(limits) = limits {
            limits.write(response.headers_mut());
        }
        response
    }
}

async fn serve_or_share(
    gateway: &Gateway,
    endpoint: &Endpoint,
    admitted: Admitted,
    parameters: &Params<'_, '_>,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let decoded: Vec<(&str, Cow<'_, str>)>;
    let path: Vec<(&str, &str)> = if uri.path().contains('%') {
        decoded = decode(parameters)?;
        decoded.iter().map(|(name, value)| (*name, &**value)).collect()
    } else {
        parameters.iter().collect()
    };
    let whole = uri.path_and_query().map_or("", |whole| whole.as_str());
    if let Some(asked) = gateway.shared.asked(endpoint.method, &admitted.caller, whole) {
        match share(gateway, endpoint, asked, &path, uri).await {
            Ok(Some(answer)) => return Ok(answer.response(headers)),
            // Who waited for somebody else's refusal is answered in person.
            Ok(None) => {}
            // So is who is signed in, when nobody may have it.
            Err(problem) if problem.kind() == Kind::Unauthenticated && admitted.token.is_some() => {}
            Err(problem) => return Err(problem),
        }
    }
    let is_write = endpoint.method.http.is_some_and(|http| http.verb != "GET");
    let served = serve(gateway, endpoint, admitted.token, &path, uri, headers, body).await;
    if is_write {
        // Also when it failed: it may have been done all the same.
        gateway.shared.written(endpoint.method);
    }
    served
}

fn decode<'k, 'v>(parameters: &Params<'k, 'v>) -> Result<Vec<(&'k str, Cow<'v, str>)>, Problem> {
    let decoded = parameters.iter().map(|(name, value)| {
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| Problem::new(&codes::MALFORMED_REQUEST).with_detail("the path is not UTF-8"))?;
        Ok((name, value))
    });
    decoded.collect()
}

/// The answer that everybody gets, from memory where it is there.
async fn share(
    gateway: &Gateway,
    endpoint: &Endpoint,
    asked: Asked<'_>,
    path: &[(&str, &str)],
    uri: &Uri,
) -> Result<Option<Arc<SharedAnswer>>, Problem> {
    if let Some(answer) = gateway.shared.known(&asked).await {
        return Ok(Some(answer));
    }
    let fetch = Box::pin(fetch(gateway, endpoint, path, uri));
    Box::pin(gateway.shared.get(asked, fetch)).await
}

/// The answer that everybody gets: asked for without a caller.
async fn fetch(
    gateway: &Gateway,
    endpoint: &Endpoint,
    path: &[(&str, &str)],
    uri: &Uri,
) -> Result<SharedAnswer, Problem> {
    let request = (endpoint.bind)(RestInput {
        path,
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
    endpoint: &Endpoint,
    token: Option<Arc<str>>,
    path: &[(&str, &str)],
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let method = endpoint.method;
    let mut place = gateway.shedding.enter(method.policy.rate_class, method.service)?;
    let idempotency_key = idempotency_key(headers)?;
    let body = body::read(&method.policy, headers, uri.query(), body, gateway.body_timeout).await?;
    place.has_arrived();
    let request = (endpoint.bind)(RestInput {
        path,
        query: body.query.as_deref(),
        body: &body.bytes,
        is_file: body.is_file,
    })?;
    let context = Arc::new(RequestContext {
        authorization: token,
        idempotency_key,
        ..request_context::current()
    });
    let client = client(gateway, endpoint.method)?;
    let first = client.call_encoded(endpoint.method, request.clone());
    let (metadata, bytes, _) = request_context::scope(Arc::clone(&context), first)
        .await?
        .into_parts();
    let answer = (endpoint.read)(bytes)?;
    let more = files::rest_of(endpoint, &answer, request, client, &context);
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
