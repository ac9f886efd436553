//! Who asks, under which id, and what browsers are told.

use contracts::auth::v1::rpc::Login;
use contracts::catalog::v1::rpc::ListCourses;

use super::edge::{Edge, Options};

const ORIGIN: &str = "https://app.example.edu";

#[tokio::test]
async fn a_well_formed_request_id_is_kept_and_any_other_replaced() {
    let edge = Edge::start().await;
    for id in ["my-id.1_A", &"a".repeat(128)] {
        let answer = edge.get("/health", &[("x-request-id", id)]).await;
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    for id in ["", "a b", "a/b", "ş", &"a".repeat(129)] {
        let answer = edge.get("/health", &[("x-request-id", id)]).await;
        let own = answer.header("x-request-id").unwrap();
        assert_eq!(
            (own.len(), &own[14..15]),
            (36, "7"),
            "a UUIDv7 instead of {id}: {own}"
        );
    }
}

#[tokio::test]
async fn services_are_told_by_the_gateway_and_not_by_the_client() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__TRUSTED_PROXIES", "127.0.0.0/8")],
        ..Options::default()
    })
    .await;
    // Of somebody whose answers are their own.
    let token = edge.token(&["courses:write"]);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("x-client-ip", "1.1.1.1"),
        ("x-client-agent", "made up"),
        ("x-arrived-at", "1"),
        ("grpc-timeout", "1n"),
        ("x-http-status", "204"),
        ("user-agent", "test/1"),
        ("x-forwarded-for", "6.6.6.6, 198.51.100.9"),
        ("x-request-id", "r-1"),
        ("traceparent", parent),
        ("tracestate", "rojo=1, congo=t61"),
        ("accept-language", "tr"),
        ("authorization", &token),
    ];
    assert_eq!(edge.get("/api/v1/courses", &headers).await.status, 200);
    let call = edge.seen.calls::<ListCourses>().remove(0);
    for (name, value) in [
        ("x-client-ip", "198.51.100.9"),
        ("x-client-agent", "test/1"),
        ("x-arrived-at", "1800000000000000"),
        ("x-request-id", "r-1"),
        ("traceparent", parent),
        ("tracestate", "rojo=1,congo=t61"),
        ("accept-language", "tr"),
        ("authorization", &token),
    ] {
        assert_eq!(call[name], value, "{name}");
    }
    assert!(call.get("x-http-status").is_none());
    assert_ne!(call["grpc-timeout"], "1n");
    // A public route has no business with a token.
    let body = br#"{"email":"a@b.co","password":"x"}"#;
    let login = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    assert_eq!(
        edge.send("POST", "/api/v1/auth/login", &login, body).await.status,
        200
    );
    assert!(edge.seen.calls::<Login>()[0].get("authorization").is_none());
}

#[tokio::test]
async fn security_headers_are_on_every_answer() {
    let edge = Edge::start().await;
    for path in [
        "/health",
        "/nowhere",
        "/api/v1/courses",
        "/docs",
        "/docs/docs.js",
        "/openapi.json",
    ] {
        let answer = edge.get(path, &[]).await;
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("http"),
            "{path}: {policy}"
        );
        assert_eq!(
            answer.header("strict-transport-security"),
            None,
            "{path}: without TLS"
        );
    }
}

#[tokio::test]
async fn browsers_of_listed_origins_alone_may_read() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__CORS_ORIGINS", ORIGIN)],
        ..Options::default()
    })
    .await;
    let preflight = |origin: &'static str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let edge = &edge;
        async move { edge.send("OPTIONS", "/api/v1/users/me", &headers, b"").await }
    };
    let allowed = preflight(ORIGIN).await;
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (200, Some(ORIGIN))
    );
    assert!(
        allowed
            .header("access-control-allow-methods")
            .is_some_and(|verbs| verbs.contains("PATCH"))
    );
    assert!(
        allowed
            .header("access-control-allow-headers")
            .is_some_and(|names| names.contains("authorization"))
    );
    assert!(allowed.header("x-request-id").is_some());
    assert_eq!(
        preflight("https://evil.example")
            .await
            .header("access-control-allow-origin"),
        None
    );

    let refusal = edge.get("/api/v1/users/me", &[("origin", ORIGIN)]).await;
    refusal.check_problem(401, "unauthenticated");
    assert_eq!(refusal.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(
        refusal
            .header("access-control-expose-headers")
            .is_some_and(|names| names.contains("x-request-id"))
    );
    let other = edge
        .get("/api/v1/courses", &[("origin", "https://evil.example")])
        .await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}
