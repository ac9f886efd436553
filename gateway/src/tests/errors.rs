//! Every error is a problem document.

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::backend::{ABSENT, BROKEN, LEAKY, SECRET, SILENT};
use super::edge::{Answer, Edge, Options};
use crate::config::Settings;
use crate::stack;

const JSON: (&str, &str) = ("content-type", "application/json");
const LOGIN: &str = "/api/v1/auth/login";

/// Verb, path, headers, body; status and code.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[tokio::test]
async fn every_class_of_error_is_a_problem_document() {
    let edge = Edge::start().await;
    let (student, teacher) = (edge.token(&[]), edge.token(&["courses:write"]));
    let (student, teacher) = (
        ("authorization", student.as_str()),
        ("authorization", teacher.as_str()),
    );
    let large = format!("{{\"email\":\"{}\"}}", "x".repeat(2 << 20));
    let long = "k".repeat(256);
    let absent = format!("/api/v1/courses/{ABSENT}");
    let cases: &[Case] = &[
        ("GET", "/nowhere", &[], "", 404, "route_not_found"),
        ("GET", "/api/v1/nonsense", &[], "", 404, "route_not_found"),
        ("GET", "/api/v1/courses/", &[], "", 404, "route_not_found"),
        (
            "GET",
            "/api/v1/../../etc/passwd%00",
            &[],
            "",
            404,
            "route_not_found",
        ),
        ("PUT", "/api/v1/courses", &[], "", 405, "method_not_allowed"),
        ("TRACE", "/api/v1/courses", &[], "", 405, "method_not_allowed"),
        ("BREW", "/health", &[], "", 405, "method_not_allowed"),
        ("GET", "/api/v1/users/me", &[], "", 401, "unauthenticated"),
        (
            "GET",
            "/api/v1/users/me",
            &[("authorization", "Bearer x.y.z")],
            "",
            401,
            "invalid_token",
        ),
        (
            "GET",
            "/api/v1/users/me",
            &[("authorization", "Basic YTpi")],
            "",
            401,
            "invalid_token",
        ),
        (
            "GET",
            "/api/v1/courses",
            &[("authorization", "Bearer x")],
            "",
            401,
            "invalid_token",
        ),
        (
            "POST",
            "/api/v1/courses",
            &[student, JSON],
            "{\"title\":\"x\"}",
            403,
            "permission_denied",
        ),
        ("POST", LOGIN, &[JSON], "{", 400, "malformed_json"),
        ("POST", LOGIN, &[JSON], "[]", 400, "malformed_json"),
        (
            "POST",
            LOGIN,
            &[JSON],
            "{\"email\":\"a\",\"email\":\"b\"}",
            400,
            "malformed_json",
        ),
        (
            "POST",
            LOGIN,
            &[JSON],
            "{\"email\":\"a@b.co\",\"password\":\"\\u0000\"}",
            422,
            "validation_failed",
        ),
        (
            "POST",
            LOGIN,
            &[JSON],
            "{\"email\":\"a@b.co\",\"password\":\"x\",\"role\":\"admin\"}",
            422,
            "validation_failed",
        ),
        ("POST", LOGIN, &[JSON], &large, 413, "payload_too_large"),
        ("POST", LOGIN, &[], "{}", 415, "unsupported_media_type"),
        (
            "POST",
            LOGIN,
            &[("content-type", "text/plain")],
            "{}",
            415,
            "unsupported_media_type",
        ),
        (
            "POST",
            LOGIN,
            &[("content-type", "application/json; charset=iso-8859-9")],
            "{}",
            415,
            "unsupported_media_type",
        ),
        // A mail program's form is not what is wrong.
        (
            "POST",
            "/api/v1/notifications/unsubscribe?token=",
            &[("content-type", "application/x-www-form-urlencoded")],
            "List-Unsubscribe=One-Click",
            422,
            "validation_failed",
        ),
        (
            "POST",
            LOGIN,
            &[("content-type", "application/json; charset=UTF-8")],
            "{",
            400,
            "malformed_json",
        ),
        (
            "POST",
            "/api/v1/courses",
            &[teacher, JSON, ("idempotency-key", "")],
            "{}",
            400,
            "malformed_request",
        ),
        (
            "POST",
            "/api/v1/courses",
            &[teacher, JSON, ("idempotency-key", "a b")],
            "{}",
            400,
            "malformed_request",
        ),
        (
            "POST",
            "/api/v1/courses",
            &[teacher, JSON, ("idempotency-key", &long)],
            "{}",
            400,
            "malformed_request",
        ),
        (
            "GET",
            "/api/v1/courses?page_size=0",
            &[],
            "",
            422,
            "validation_failed",
        ),
        (
            "GET",
            "/api/v1/courses?nonsense=1",
            &[],
            "",
            400,
            "unknown_parameter",
        ),
        ("GET", "/api/v1/courses?q=%ff", &[], "", 400, "malformed_request"),
        (
            "GET",
            "/api/v1/courses/not-a-uuid",
            &[],
            "",
            422,
            "validation_failed",
        ),
        ("GET", "/api/v1/courses/%ff", &[], "", 400, "malformed_request"),
        ("GET", &absent, &[], "", 404, "not_found"),
    ];
    for (verb, path, headers, body, status, code) in cases {
        let answer = edge.send(verb, path, headers, body.as_bytes()).await;
        answer.check_problem(*status, code);
        if *status == 401 {
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        if *status == 405 {
            assert!(
                answer.header("allow").is_some_and(|allow| allow.contains("GET")),
                "{path}"
            );
        }
    }
    let invalid = edge.send("POST", LOGIN, &[JSON], b"\"\xff\"").await;
    invalid.check_problem(400, "malformed_json");
}

#[tokio::test]
async fn faults_of_services_say_when_to_come_back_and_nothing_of_the_inside() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__REQUEST_TIMEOUT_SECONDS", "1")],
        away: &["auth"],
        ..Options::default()
    })
    .await;
    let course = |id: &str| format!("/api/v1/courses/{id}");
    for (path, status, code) in [
        (course(LEAKY), 500, "internal"),
        (course(BROKEN), 503, "unavailable"),
        (course(SILENT), 504, "timeout"),
        ("/.well-known/jwks.json".to_owned(), 503, "unavailable"),
    ] {
        let answer = edge.get(&path, &[]).await;
        answer.check_problem(status, code);
        assert!(!String::from_utf8_lossy(&answer.bytes).contains(SECRET), "{path}");
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{path}");
    }
}

#[tokio::test]
async fn problems_speak_the_callers_language() {
    let edge = Edge::start().await;
    let answer = edge
        .get("/nowhere", &[("accept-language", "tr-TR,tr;q=0.9,en;q=0.8")])
        .await;
    answer.check_problem(404, "route_not_found");
    assert_eq!(answer.json()["title"], "Bu adreste bir şey yok.");
    assert_eq!(answer.header("content-language"), Some("tr"));
    let answer = edge
        .send(
            "POST",
            "/api/v1/auth/register",
            &[JSON, ("accept-language", "tr")],
            br#"{"email":"a@b.co","password":"short","full_name":"A"}"#,
        )
        .await;
    answer.check_problem(422, "validation_failed");
    assert_eq!(answer.json()["errors"][0]["detail"], "en az 8 karakter olmalı");
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    async fn panics() {
        panic!("of the test")
    }
    let loaded = service_runtime::configuration::load::<Settings>(
        <crate::app::Gateway as service_runtime::App>::DEFAULTS,
        None,
        [],
    )
    .unwrap();
    let router = Router::new().route("/panics", get(panics));
    let router = stack::around(router, &loaded.app.http, clock::Clock::system());
    let request = Request::get("/panics")
        .header("host", "x")
        .body(axum::body::Body::empty())
        .unwrap();
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        bytes,
    }
    .check_problem(500, "internal");
}
