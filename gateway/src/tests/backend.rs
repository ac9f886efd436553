//! A stub of all services on one port: it answers by method, and by the id that is asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use contracts::auth::v1::{GetJwksResponse, IssueServiceTokenResponse, TokenResponse};
use contracts::catalog::v1::{
    Category, Course, CourseDetail, CreateCourseRequest, GetCourseRequest, ListCategoriesResponse,
    ListCoursesRequest, ListCoursesResponse,
};
use contracts::exam::v1::{ImportQuestionsRequest, ImportQuestionsResponse};
use contracts::notification::v1::{
    ListNotificationsAfterRequest, ListNotificationsAfterResponse, Notification,
};
use contracts::{Empty, Rpc};
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use problem::{Problem, codes};
use prost::Message;
use tokio::net::TcpListener;
use tonic::Status;

pub const FOUND: &str = "0193b2a4-6c3e-7b1a-9f00-000000000001";
pub const ABSENT: &str = "0193b2a4-6c3e-7b1a-9f00-000000000002";
/// Answered with a status that is not one of ours.
pub const LEAKY: &str = "0193b2a4-6c3e-7b1a-9f00-000000000003";
/// Never answered.
pub const SILENT: &str = "0193b2a4-6c3e-7b1a-9f00-000000000004";
pub const BROKEN: &str = "0193b2a4-6c3e-7b1a-9f00-000000000005";
/// Answered when the test says so.
pub const HELD: &str = "0193b2a4-6c3e-7b1a-9f00-000000000006";
pub const SECRET: &str = "relation auth.users does not exist";

/// What the stub was asked, and when it may answer.
#[derive(Clone, Default)]
pub struct Seen {
    calls: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    pub release: Arc<tokio::sync::Notify>,
    /// What is committed: by user, in the order of ids.
    pub inbox: Arc<Mutex<Vec<(String, Notification)>>>,
}

impl Seen {
    /// Headers of the calls of a method, in order.
    pub fn calls<R: Rpc>(&self) -> Vec<HeaderMap> {
        let calls = self.calls.lock();
        calls
            .iter()
            .filter(|(path, _)| path == R::METHOD.path)
            .map(|(_, headers)| headers.clone())
            .collect()
    }
}

pub async fn start() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let router = Router::new().fallback(serve).with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

async fn serve(State(seen): State<Seen>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if path == rpc_client::exchange::PATH {
        // An older service: each call comes alone, and its headers tell what was sent along.
        return Status::unimplemented("no such method").into_http();
    }
    seen.calls.lock().push((path.clone(), head.headers.clone()));
    // A message has a flag and a length before it.
    let body = body.collect().await.unwrap().to_bytes().slice(5..);
    match answer(&path, body, &head.headers, &seen).await {
        Ok((message, metadata)) => reply(&message, metadata),
        Err(status) => status.into_http(),
    }
}

type Answer = (Vec<u8>, Vec<(&'static str, &'static str)>);

async fn answer(path: &str, body: Bytes, headers: &HeaderMap, seen: &Seen) -> Result<Answer, Status> {
    let plain = |message: Vec<u8>| Ok((message, Vec::new()));
    match path.rsplit('/').next().unwrap_or_default() {
        "GetJwks" => plain(GetJwksResponse::default().encode_to_vec()),
        "IssueServiceToken" => plain(
            IssueServiceTokenResponse {
                access_token: "of the gateway".into(),
                expires_in: 300,
            }
            .encode_to_vec(),
        ),
        "ListNotificationsAfter" => {
            let asked = ListNotificationsAfterRequest::decode(body).unwrap();
            let mut found: Vec<Notification> = seen
                .inbox
                .lock()
                .iter()
                .filter(|(user, notification)| *user == asked.user_id && notification.id > asked.after_id)
                .map(|(_, notification)| notification.clone())
                .collect();
            // Small pages, so that a test has several.
            let has_more = found.len() > 2;
            found.truncate(2);
            let page = ListNotificationsAfterResponse {
                notifications: found,
                has_more,
            };
            plain(page.encode_to_vec())
        }
        "Login" => plain(TokenResponse::default().encode_to_vec()),
        "Logout" | "RequestPasswordReset" => plain(Empty {}.encode_to_vec()),
        "ListCourses" => {
            let asked = ListCoursesRequest::decode(body).unwrap();
            let drafts = asked.include_drafts == Some(true);
            match headers.contains_key("authorization") {
                _ if !drafts => plain(ListCoursesResponse::default().encode_to_vec()),
                true => Err(Problem::new(&codes::PERMISSION_DENIED).into()),
                false => Err(Problem::new(&codes::UNAUTHENTICATED).into()),
            }
        }
        "ImportQuestions" => {
            let asked = ImportQuestionsRequest::decode(body).unwrap();
            let length = asked.content_base64.len();
            let answer = ImportQuestionsResponse {
                found: i32::try_from(length).unwrap(),
                question_ids: vec![
                    asked.course_id,
                    asked.content,
                    asked.content_base64.get(..40.min(length)).unwrap().to_owned(),
                    asked.format.unwrap_or_default(),
                ],
                dry_run: asked.dry_run,
                ..Default::default()
            };
            plain(answer.encode_to_vec())
        }
        "ListCategories" => {
            let category = Category {
                name: "Matematik".into(),
                ..Category::default()
            };
            plain(
                ListCategoriesResponse {
                    categories: vec![category; 20],
                    ..Default::default()
                }
                .encode_to_vec(),
            )
        }
        "CreateCourse" => {
            let title = CreateCourseRequest::decode(body).unwrap().title;
            let course = Course {
                id: FOUND.into(),
                title,
                ..Course::default()
            };
            let again = headers.get("idempotency-key").is_some_and(|key| key == "again");
            let metadata = if again {
                vec![("idempotent-replayed", "true"), ("x-http-status", "200")]
            } else {
                vec![]
            };
            Ok((course.encode_to_vec(), metadata))
        }
        "GetCourse" => match GetCourseRequest::decode(body).unwrap().id.as_str() {
            ABSENT => Err(Problem::new(&codes::NOT_FOUND).into()),
            LEAKY => Err(Status::unknown(SECRET)),
            BROKEN => Err(Status::unavailable(SECRET)),
            SILENT => std::future::pending().await,
            HELD => {
                seen.release.notified().await;
                plain(
                    CourseDetail {
                        id: HELD.into(),
                        ..Default::default()
                    }
                    .encode_to_vec(),
                )
            }
            id => plain(
                CourseDetail {
                    id: id.into(),
                    title: "Matematik I".into(),
                    ..Default::default()
                }
                .encode_to_vec(),
            ),
        },
        _ => Err(Problem::new(&codes::UNAUTHENTICATED).into()),
    }
}

fn reply(message: &[u8], metadata: Vec<(&'static str, &'static str)>) -> Response {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames: [Result<Frame<Bytes>, std::convert::Infallible>; 2] =
        [Ok(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    for (name, value) in metadata {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);
