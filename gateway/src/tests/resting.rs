//! Connections that rest between requests, and are taken up again wherever they were left.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::backend::PATIENCE;
use super::connections::TLS;
use super::edge::{Edge, Options, client};
use super::raw::statuses;

const ASK: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\nxx";

/// Reads until so many answers came.
async fn answers(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<u16> {
    let (mut heard, mut piece) = (String::new(), vec![0; 4_096]);
    while statuses(&heard).len() < count || !heard.ends_with('}') && !heard.ends_with("\r\n\r\n") {
        let length = timeout(PATIENCE, stream.read(&mut piece)).await;
        let length = length.expect("an answer is missing").unwrap();
        assert_ne!(length, 0, "it was closed after {heard}");
        heard.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    statuses(&heard)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Wherever the client's system cuts them, each request is answered once, in its order.
#[tokio::test]
async fn requests_may_come_in_any_pieces() {
    let edge = Edge::start().await;
    let all = [POST, ASK, POST, ASK].concat();
    let mut tick = interval(Duration::from_millis(2));
    for cut in (1..all.len()).step_by(7) {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // First a request alone, so that the connection rests.
        send(&mut stream, ASK).await;
        assert_eq!(answers(&mut stream, 1).await, [200]);
        let (one, two) = all.split_at(cut);
        send(&mut stream, one).await;
        tick.tick().await;
        send(&mut stream, two).await;
        assert_eq!(
            answers(&mut stream, 4).await,
            [400, 200, 400, 200],
            "cut at {cut}"
        );
        send(&mut stream, ASK).await;
        assert_eq!(answers(&mut stream, 1).await, [200], "afterwards, cut at {cut}");
    }
}

#[tokio::test]
async fn one_after_the_other_on_one_connection() {
    let edge = Edge::start().await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for _ in 0..200 {
        send(&mut stream, POST).await;
        assert_eq!(answers(&mut stream, 1).await, [400]);
        let (head, body) = POST.split_at(POST.len() - 2);
        send(&mut stream, head).await;
        send(&mut stream, body).await;
        assert_eq!(answers(&mut stream, 1).await, [400]);
    }
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok() && rest.is_empty()
}

#[tokio::test]
async fn who_rests_for_too_long_is_closed() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__KEEP_ALIVE_SECONDS", "1")],
        ..Options::default()
    })
    .await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let mut tick = interval(Duration::from_millis(600));
    // Each request prolongs it.
    for _ in 0..4 {
        tick.tick().await;
        send(&mut stream, ASK).await;
        assert_eq!(answers(&mut stream, 1).await, [200]);
    }
    assert!(is_closed(&mut stream).await, "it rests for ever");
    // So it is where hyper keeps the connection, as it may hold a part of another request.
    let chunked = POST.replace(
        "Content-Length: 2\r\n\r\nxx",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n",
    );
    for (asked, count) in [([ASK, ASK].concat(), 2), (chunked, 1)] {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        send(&mut stream, ASK).await;
        assert_eq!(answers(&mut stream, 1).await, [200]);
        send(&mut stream, &asked).await;
        answers(&mut stream, count).await;
        assert!(
            is_closed(&mut stream).await,
            "{asked:?} keeps the connection for ever"
        );
    }
}

/// The parser skips empty lines before a head: whoever counts them as one is set apart from it by the body.
#[tokio::test]
async fn empty_lines_before_a_head_hide_no_request() {
    let edge = Edge::start().await;
    let body = "POST".to_owned() + &"x".repeat(8) + ASK;
    let head = format!(
        "POST /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        400
    );
    for lines in ["\r\n\r\n", "\n\n", "\r\n"] {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        // As long as head and body would be, were the empty lines a head of their own.
        let missing = head.len();
        let text = format!("{lines}{head}{}{body}", "y".repeat(400 - missing - body.len()));
        send(&mut stream, &text).await;
        assert_eq!(answers(&mut stream, 1).await.len(), 1);
        send(&mut stream, &"z".repeat(missing)).await;
        send(&mut stream, ASK).await;
        assert_eq!(answers(&mut stream, 1).await, [200], "after {lines:?}");
    }
}

#[tokio::test]
async fn over_tls_it_rests_as_well() {
    let edge = Edge::start_with(Options {
        settings: TLS,
        ..Options::default()
    })
    .await;
    let client = client()
        .tls_danger_accept_invalid_certs(true)
        .http1_only()
        .pool_max_idle_per_host(1)
        .build()
        .unwrap();
    for _ in 0..50 {
        let answer = client
            .get(format!("https://{}/openapi.json", edge.address))
            .send();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_11);
        assert_eq!(answer.bytes().await.unwrap(), contracts::OPENAPI_JSON.as_bytes());
    }
}

/// What else a client says of its connection holds for the requests after the first one, too.
#[tokio::test]
async fn the_next_request_can_be_the_last() {
    let edge = Edge::start().await;
    for last in [
        ASK.replace("Host", "Connection: close\r\nHost"),
        ASK.replace("1.1", "1.0"),
    ] {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        send(&mut stream, ASK).await;
        assert_eq!(answers(&mut stream, 1).await, [200]);
        send(&mut stream, &last).await;
        assert_eq!(answers(&mut stream, 1).await, [200]);
        assert!(is_closed(&mut stream).await, "after {last:?}");
    }
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    send(&mut stream, ASK).await;
    assert_eq!(answers(&mut stream, 1).await, [200]);
    let (head, body) = POST.split_at(POST.len() - 2);
    send(&mut stream, &head.replace("Host", "Expect: 100-continue\r\nHost")).await;
    let mut told = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut told))
        .await
        .unwrap()
        .unwrap();
    assert!(told.starts_with(b"HTTP/1.1 100 "));
    send(&mut stream, body).await;
    assert_eq!(answers(&mut stream, 1).await, [400]);
    send(&mut stream, ASK).await;
    assert_eq!(answers(&mut stream, 1).await, [200]);
    // The client has nothing more to say.
    stream.shutdown().await.unwrap();
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn who_rests_keeps_nobody_from_stopping() {
    let mut edge = Edge::start().await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    send(&mut stream, ASK).await;
    assert_eq!(answers(&mut stream, 1).await, [200]);
    edge.stop.cancel();
    assert!(is_closed(&mut stream).await);
    timeout(PATIENCE, &mut edge.served)
        .await
        .expect("it does not stop")
        .unwrap()
        .unwrap();
}

/// A proxy may ask for a socket on a connection that it has used before.
#[tokio::test]
async fn a_rested_connection_can_become_a_socket() {
    let edge = Edge::start().await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    send(&mut stream, ASK).await;
    assert_eq!(answers(&mut stream, 1).await, [200]);
    let token = edge.token(&[]);
    let token = token.trim_start_matches("Bearer ");
    let upgrade = format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer, {token}\r\n\r\n"
    );
    send(&mut stream, &upgrade).await;
    let (mut heard, mut piece) = (Vec::new(), vec![0; 4_096]);
    while !String::from_utf8_lossy(&heard).contains("ready") {
        let length = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        assert_ne!(length, 0, "it was closed");
        heard.extend_from_slice(&piece[..length]);
    }
    assert_eq!(statuses(&String::from_utf8_lossy(&heard)), [101]);
}
