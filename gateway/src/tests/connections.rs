//! The accept loop: slow and greedy clients, HTTP/2, TLS, draining.

use contracts::catalog::v1::rpc::GetCourse;
use test_support::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::backend::{HELD, PATIENCE};
use super::edge::{Edge, Options, answer, client};

const QUICK: Options = Options {
    settings: &[
        ("SC_HTTP__HEADER_TIMEOUT_SECONDS", "1"),
        ("SC_HTTP__BODY_TIMEOUT_SECONDS", "1"),
    ],
    away: &[],
    redis: None,
};

pub const TLS: &[(&str, &str)] = &[
    (
        "SC_HTTP__TLS_CERT",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/tls/cert.pem"),
    ),
    (
        "SC_HTTP__TLS_KEY",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/tls/key.pem"),
    ),
];

#[tokio::test]
async fn clients_that_do_not_send_their_head_are_cut_off() {
    let edge = Edge::start_with(QUICK).await;
    for head in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    ] {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{head:?} holds its connection");
    }
}

/// Between requests there is more time than for a head that has begun.
#[tokio::test]
async fn a_connection_that_is_kept_may_rest_but_not_dawdle() {
    let edge = Edge::start_with(QUICK).await;
    let ask = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let mut answer = vec![0; 4_096];
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(1_500));
    for _ in 0..3 {
        tick.tick().await;
        stream.write_all(ask).await.unwrap();
        let length = timeout(PATIENCE, stream.read(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    }
    stream.write_all(b"GET /health/li").await.unwrap();
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE / 2, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "half a head holds its connection");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_refused() {
    let edge = Edge::start_with(QUICK).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = vec![0; 4_096];
    let length = timeout(PATIENCE, stream.read(&mut text)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&text[..length]);
    assert!(
        text.starts_with("HTTP/1.1 400") && text.contains("application/problem+json"),
        "{text}"
    );
}

/// A connection on which something was answered; `None` where there was no place for it.
async fn asks(edge: &Edge) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let _ = stream
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let mut first = [0; 1];
    let answered = timeout(PATIENCE, stream.read(&mut first))
        .await
        .unwrap()
        .unwrap_or(0)
        == 1;
    answered.then_some(stream)
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__MAX_CONNECTIONS_PER_IP", "2")],
        ..Options::default()
    })
    .await;
    let (one, two) = (asks(&edge).await, asks(&edge).await);
    assert!(one.is_some() && two.is_some());
    assert!(asks(&edge).await.is_none(), "a third connection");
    drop(one);
    eventually(PATIENCE, || asks(&edge)).await;
}

#[tokio::test]
async fn a_trusted_proxy_has_the_connections_of_all_its_clients() {
    let edge = Edge::start_with(Options {
        settings: &[
            ("SC_HTTP__MAX_CONNECTIONS_PER_IP", "2"),
            ("SC_HTTP__TRUSTED_PROXIES", "127.0.0.0/8"),
        ],
        ..Options::default()
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(asks(&edge).await.unwrap());
    }
}

#[tokio::test]
async fn http2_is_spoken_over_plain_tcp() {
    let edge = Edge::start_with(Options::default()).await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let calls = (0..50).map(|_| client.get(edge.url("/api/v1/courses")).send());
    for response in futures::future::join_all(calls).await {
        let response = response.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, http::Version::HTTP_2)
        );
    }
}

#[tokio::test]
async fn tls_offers_http2_and_asks_to_stay() {
    let edge = Edge::start_with(Options {
        settings: TLS,
        ..Options::default()
    })
    .await;
    let client = client().tls_danger_accept_invalid_certs(true).build().unwrap();
    let url = format!("https://{}/api/v1/courses", edge.address);
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let answer = answer(response).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("strict-transport-security")
            .is_some_and(|value| value.starts_with("max-age="))
    );
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_it_stops() {
    let mut edge = Edge::start().await;
    let request = edge
        .client
        .get(edge.url(&format!("/api/v1/courses/{HELD}")))
        .send();
    let held = tokio::spawn(request);
    eventually(PATIENCE, || async {
        (!edge.seen.calls::<GetCourse>().is_empty()).then_some(())
    })
    .await;
    edge.stop.cancel();
    eventually(PATIENCE, || async {
        TcpStream::connect(edge.address).await.err()
    })
    .await;
    assert!(!edge.served.is_finished());
    edge.seen.release.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    timeout(PATIENCE, &mut edge.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

/// A client that sends all of a body that is too large before it reads: the answer waits for it, on whatever connection.
#[tokio::test]
async fn an_early_answer_reaches_who_is_still_sending() {
    let edge = Edge::start_with(Options::default()).await;
    for _ in 0..20 {
        let stream = TcpStream::connect(edge.address).await.unwrap();
        let (mut reads, mut writes) = stream.into_split();
        let body = vec![b'x'; 4 << 20];
        let head = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writes.write_all(head.as_bytes()).await.unwrap();
        writes.write_all(&body).await.unwrap();
        let mut text = vec![0; 4_096];
        let length = timeout(PATIENCE, reads.read(&mut text)).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&text[..length]);
        assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    }
}
