//! Clients that send slowly, or do not take what they asked for.

use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::backend::PATIENCE;
use super::edge::Edge;
use super::raw::{QUICK, deaf, statuses, under};

/// Sends a byte now and then, until the gateway has enough of it. What it said meanwhile.
async fn trickle(edge: &Edge, start: &str, byte: &[u8]) -> String {
    let (mut reads, mut writes) = TcpStream::connect(edge.address).await.unwrap().into_split();
    writes.write_all(start.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let drip = async {
        let mut tick = interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            if writes.write_all(byte).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let listen = timeout(PATIENCE, reads.read_to_end(&mut heard));
    tokio::select! {
        ended = listen => assert!(ended.is_ok(), "{start:?} holds its connection"),
        () = drip => {}
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_heads_keep_nobody_away() {
    let edge = Edge::start_with(QUICK).await;
    let heads = [
        "GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "G",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: ",
    ];
    let slow = (0..1_000).map(|number| trickle(&edge, heads[number % heads.len()], b"a"));
    for heard in under(&edge, join_all(slow)).await {
        assert!(
            statuses(&heard)
                .iter()
                .all(|status| *status == 400 || *status == 408),
            "{heard}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_end_however_long_they_say_they_are() {
    let edge = Edge::start_with(QUICK).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let sized = format!("{head}Content-Length: 1000000\r\n\r\n{{");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let (edge, sized, chunked) = (&edge, &sized, &chunked);
    let slow = (0..200).map(|number| async move {
        if number % 2 == 0 {
            trickle(edge, sized, b" ").await
        } else {
            trickle(edge, chunked, b"1\r\n \r\n").await
        }
    });
    for heard in under(edge, join_all(slow)).await {
        assert_eq!(statuses(&heard), [400]);
        assert!(heard.contains("application/problem+json"));
    }
}

/// A route that reads no body has to get rid of one.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_that_nobody_wants_ends_too() {
    let edge = Edge::start_with(QUICK).await;
    let head = "GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let slow = (0..50).map(|_| trickle(&edge, head, b" "));
    for heard in under(&edge, join_all(slow)).await {
        assert_eq!(statuses(&heard), [200]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_cut_off() {
    let edge = Edge::start_with(QUICK).await;
    // More than the buffers of both systems hold.
    let asks = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    let deaf = (0..20).map(|_| async {
        let mut stream = deaf(edge.address).await;
        stream.write_all(asks.as_bytes()).await.unwrap();
        let cut = async {
            let mut tick = interval(Duration::from_millis(100));
            while stream.write_all(b"G").await.is_ok() {
                tick.tick().await;
            }
        };
        assert!(timeout(PATIENCE, cut).await.is_ok(), "who does not read stays");
    });
    under(&edge, join_all(deaf)).await;
}

/// Slow is not deaf: who reads a little now and then gets all of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_gets_everything() {
    let edge = Edge::start_with(QUICK).await;
    let mut stream = deaf(edge.address).await;
    stream
        .write_all(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut tick = interval(Duration::from_millis(50));
    let (mut heard, mut piece) = (Vec::new(), vec![0; 8_192]);
    loop {
        tick.tick().await;
        match stream.read(&mut piece).await.unwrap() {
            0 => break,
            length => heard.extend_from_slice(&piece[..length]),
        }
    }
    let at = heard.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    assert_eq!(&heard[at + 4..], contracts::OPENAPI_JSON.as_bytes());
}
