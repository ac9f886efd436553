//! What clients write into headers stays where it belongs.

use contracts::catalog::v1::rpc::{CreateCourse, ListCourses};
use futures::future::join_all;

use super::edge::{Edge, Options};
use super::raw::{QUICK, head, say, statuses, under};

/// Headers that are read, kept or passed on.
const NAMES: &[&str] = &[
    "X-Request-ID",
    "traceparent",
    "tracestate",
    "baggage",
    "Accept-Language",
    "Accept-Encoding",
    "Idempotency-Key",
    "User-Agent",
    "Origin",
    "If-None-Match",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Original-URL",
    "X-HTTP-Method-Override",
    "Authorization",
    "Range",
    "Expect",
];

fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "a\r\nSet-Cookie: injected=1",
        "a\nSet-Cookie: injected=1",
        "a%0d%0aSet-Cookie:%20injected=1",
        "a%0D%0A%0D%0A<injected>",
        "a\\r\\nSet-Cookie: injected=1",
        "嘊嘍Set-Cookie: injected=1",
        "ş-injected",
        "<script>injected</script>",
        "${jndi:ldap://injected}",
        "\u{1b}[31minjected",
    ]
    .map(str::to_owned)
    .into();
    values.push(format!("injected{}", "x".repeat(121)));
    values.push(format!("injected{}", "y".repeat(10 << 10)));
    values.push("injected;q=0.1,".repeat(700));
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_nothing_of_a_clients_headers() {
    let edge = Edge::start_with(QUICK).await;
    let token = edge.token(&["courses:write"]);
    let values = values();
    let mut cases = Vec::new();
    for name in NAMES {
        for value in &values {
            let get = format!(
                "GET /api/v1/courses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{name}: {value}\r\n\r\n"
            );
            let post = format!(
                "POST /api/v1/courses HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
                 Authorization: {token}\r\nContent-Length: 13\r\n{name}: {value}\r\n\r\n{{\"title\":\"T\"}}"
            );
            let path: String =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).collect();
            let path =
                format!("GET /api/v1/{path}?x={path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            cases.extend([get, post, path]);
        }
    }
    let heard = under(&edge, async {
        let mut heard = Vec::new();
        for some in cases.chunks(100) {
            heard.extend(join_all(some.iter().map(|case| say(edge.address, case.as_bytes()))).await);
        }
        heard
    })
    .await;
    for (case, heard) in cases.iter().zip(&heard) {
        let (found, head) = (statuses(heard), head(heard));
        assert!(
            matches!(found.as_slice(), [status] if *status < 500),
            "{found:?} to {case:.300}"
        );
        assert!(!head.contains("injected"), "{head}\nto {case:.300}");
    }
    let told = edge.seen.calls::<ListCourses>();
    let told = told
        .iter()
        .chain(&edge.seen.calls::<CreateCourse>())
        .cloned()
        .collect::<Vec<_>>();
    assert!(told.len() > 100);
    for call in told {
        assert!(call.get("set-cookie").is_none());
        for name in ["x-request-id", "traceparent", "tracestate", "accept-language"] {
            let values: Vec<_> = call
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap())
                .collect();
            assert!(
                values.len() <= 1 && !values.concat().contains('%') && !values.concat().contains('<'),
                "{values:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_a_client_makes_up_has_no_bucket_of_its_own() {
    let edge = Edge::start_with(Options {
        settings: &[
            ("RATELIMIT_ENABLED", "true"),
            ("SC_RATELIMIT__LOGIN__CAPACITY", "2"),
            ("SC_RATELIMIT__LOGIN__REFILL", "1"),
            ("SC_RATELIMIT__LOGIN__PERIOD_SECONDS", "3600"),
        ],
        ..Options::default()
    })
    .await;
    let mut passed = 0;
    for number in 0..24 {
        let ip = format!("198.51.100.{number}");
        let forwarded = format!("for={ip}");
        let name = [
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-client-ip",
        ][number % 6];
        let value = if name == "forwarded" { &forwarded } else { &ip };
        let headers = [("content-type", "application/json"), (name, value.as_str())];
        let answer = edge
            .send(
                "POST",
                "/api/v1/auth/login",
                &headers,
                br#"{"email":"a@b.co","password":"x"}"#,
            )
            .await;
        if answer.status == 200 {
            passed += 1;
        } else {
            answer.check_problem(429, "rate_limited");
        }
    }
    assert_eq!(passed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_inside_are_not_taken_from_clients() {
    let edge = Edge::start().await;
    let token = edge.token(&["courses:write"]);
    let lines = [
        "x-client-ip",
        "X-Client-IP",
        "x-client-agent",
        "X-ARRIVED-AT",
        "x-arrived-at",
        "grpc-timeout",
        "GRPC-Timeout",
        "grpc-encoding",
        "grpc-status",
        "te",
        "x-http-status",
        "idempotent-replayed",
        "x-user-id",
        "x_client_ip",
        "x-client-ip-bin",
        "cookie",
        "x-forwarded-for",
        "forwarded",
    ]
    .map(|name| format!("{name}: 7\r\n"))
    .concat();
    let request = format!(
        "GET /api/v1/courses HTTP/1.1\r\nHost: x\r\nConnection: close, x-arrived-at\r\nAuthorization: {token}\r\n{lines}\r\n"
    );
    assert_eq!(statuses(&say(edge.address, request.as_bytes()).await), [200]);
    let call = edge.seen.calls::<ListCourses>().pop().unwrap();
    let expected = [
        ("x-client-ip", Some("127.0.0.1")),
        ("x-arrived-at", Some("1800000000000000")),
        ("x-client-agent", None),
        ("authorization", Some(token.as_str())),
        ("te", Some("trailers")),
        ("content-type", Some("application/grpc")),
    ];
    for (name, value) in expected {
        let values: Vec<_> = call
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(values, value.into_iter().collect::<Vec<_>>(), "{name}");
    }
    for (name, value) in &call {
        assert_ne!(value, "7", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_in_the_one_scheme_is_taken() {
    let edge = Edge::start().await;
    let token = edge.token(&["courses:write"]);
    let bare = token.strip_prefix("Bearer ").unwrap();
    let ask = async |lines: &str| {
        let request = format!("GET /api/v1/courses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
        statuses(&say(edge.address, request.as_bytes()).await)
    };
    for lines in [
        String::new(),
        format!("Authorization: {token}\r\n"),
        format!("authorization: bEARER   {bare}\r\n"),
    ] {
        assert_eq!(ask(&lines).await, [200], "{lines}");
    }
    for lines in [
        format!("Authorization: {token}\r\nAuthorization: {token}\r\n"),
        format!("Authorization: {token}\r\nAuthorization: Bearer x\r\n"),
        format!("Authorization: Basic YTpi\r\nAuthorization: {token}\r\n"),
        format!("Authorization: {token}, {token}\r\n"),
        format!("Authorization: Bearer\t{bare}\r\n"),
        format!("Authorization: Token {bare}\r\n"),
        format!("Authorization: Basic {bare}\r\n"),
        format!("Authorization: {bare}\r\n"),
        format!("Authorization: Bearer Bearer {bare}\r\n"),
        format!("Authorization: {token}x\r\n"),
        "Authorization: Bearer\r\n".into(),
        "Authorization: Bearer \r\n".into(),
        "Authorization:\r\n".into(),
        "Authorization: Bearer ş\r\n".into(),
        "Authorization: Negotiate YII=\r\n".into(),
        "Authorization: Digest username=\"a\"\r\n".into(),
        format!("Authorization: Bearer {}\r\n", "a.".repeat(20_000)),
    ] {
        assert_eq!(ask(&lines).await, [401], "{lines:.200}");
    }
    assert_eq!(edge.seen.calls::<ListCourses>().len(), 3);
}
