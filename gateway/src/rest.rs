//! Every RPC with an HTTP rule as a route, through one generic handler.

mod files;
mod reply;
pub mod shared;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use contracts::{Rest, RestInput, RestVisitor};
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use problem::{Problem, codes};
use request_context::{RequestContext, header};
use rpc_client::RpcClient;

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
        self.router = std::mem::take(&mut self.router).route(http.path, on(verb, handle::<R>));
    }
}

async fn handle<R: Rest>(
    State(gateway): State<Arc<Gateway>>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let (limits, admitted) = admit(&gateway, R::METHOD, &head.headers).await;
    let served = match admitted {
        Ok(admitted) => serve_or_share::<R>(&gateway, admitted, path, &head.uri, &head.headers, body).await,
        Err(problem) => Err(problem),
    };
    let mut response = served.unwrap_or_else(|problem| {
        problem.log();
        problem_answer(&problem, &head.uri)
    });
    response.headers_mut().extend(limits);
    response
}

async fn serve_or_share<R: Rest>(
    gateway: &Gateway,
    admitted: Admitted,
    path: Result<RawPathParams, RawPathParamsRejection>,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let path =
        path.map_err(|_| Problem::new(&codes::MALFORMED_REQUEST).with_detail("the path is not UTF-8"))?;
    let whole = uri.path_and_query().map_or("", |whole| whole.as_str());
    // Who waited for somebody else's refusal is answered in person.
    if let Some(key) = gateway.shared.key(R::METHOD, &admitted.caller, whole)
        && let Some(answer) = gateway.shared.get(key, fetch::<R>(gateway, &path, uri)).await?
    {
        return Ok(answer.response(headers));
    }
    let is_write = R::METHOD.http.is_some_and(|http| http.verb != "GET");
    let served = serve::<R>(gateway, admitted.token, path, uri, headers, body).await;
    if is_write {
        // Also when it failed: it may have been done all the same.
        gateway.shared.written(R::METHOD);
    }
    served
}

/// The answer that everybody gets: asked for without a caller.
async fn fetch<R: Rest>(gateway: &Gateway, path: &RawPathParams, uri: &Uri) -> Result<SharedAnswer, Problem> {
    let path: Vec<(&str, &str)> = path.iter().collect();
    let request = R::bind(RestInput {
        path: &path,
        query: uri.query(),
        body: b"",
    })?;
    let context = RequestContext {
        authorization: None,
        idempotency_key: None,
        ..request_context::current()
    };
    let answer = request_context::scope(context, client::<R>(gateway)?.call::<R>(request)).await?;
    SharedAnswer::of::<R>(answer.get_ref())
}

fn client<R: Rest>(gateway: &Gateway) -> Result<&RpcClient, Problem> {
    gateway
        .clients
        .of(R::METHOD.service)
        .ok_or_else(|| Problem::internal("an RPC of no service"))
}

async fn serve<R: Rest>(
    gateway: &Gateway,
    token: Option<String>,
    path: RawPathParams,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let _place = gateway.shedding.enter(R::METHOD.policy.rate_class)?;
    let idempotency_key = idempotency_key(headers)?;
    // What says that it is too large is refused before it is sent.
    if hyper::body::Body::size_hint(&body).lower() > R::METHOD.policy.max_body_bytes as u64 {
        return Err(Problem::new(&codes::PAYLOAD_TOO_LARGE));
    }
    let reading = Limited::new(body, R::METHOD.policy.max_body_bytes).collect();
    let Ok(body) = tokio::time::timeout(gateway.body_timeout, reading).await else {
        return Err(Problem::new(&codes::MALFORMED_REQUEST).with_detail("the body did not arrive in time"));
    };
    let body = body.map_err(unreadable)?.to_bytes();
    if !body.is_empty() && !R::METHOD.policy.ignores_body {
        check_content_type(headers)?;
        check_not_compressed(headers)?;
    }
    let path: Vec<(&str, &str)> = path.iter().collect();
    let request = R::bind(RestInput {
        path: &path,
        query: uri.query(),
        body: &body,
    })?;
    let context = RequestContext {
        authorization: token.map(Into::into),
        idempotency_key,
        ..request_context::current()
    };
    let client = client::<R>(gateway)?;
    let first = client.call::<R>(request.clone());
    let answer = request_context::scope(context.clone(), first).await?;
    let more = files::rest_of::<R>(answer.get_ref(), request, client, context);
    let mut response = reply::reply::<R>(answer, headers)?;
    if let Some(more) = more {
        let first = std::mem::take(response.body_mut());
        *response.body_mut() = Body::from_stream(first.into_data_stream().chain(more));
    }
    Ok(response)
}

fn unreadable(fault: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    if fault.is::<LengthLimitError>() {
        Problem::new(&codes::PAYLOAD_TOO_LARGE)
    } else {
        Problem::new(&codes::MALFORMED_REQUEST).with_source(fault)
    }
}

/// `application/json`, in UTF-8 where it says a charset.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = || Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE);
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(unsupported());
    };
    let value = value.to_str().map_err(|_| unsupported())?;
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if is_json && is_utf8 {
        Ok(())
    } else {
        Err(unsupported())
    }
}

/// A body is read as it is: unpacked it could be of any size.
fn check_not_compressed(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err(Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE).with_detail("a compressed body is not taken"))
    }
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
