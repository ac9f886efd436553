//! HTTP/2 that breaks its rules: what comes of it ends the stream or the connection, and reaches nobody else.

use std::time::Duration;

use contracts::catalog::v1::rpc::{CreateCourse, ListCourses};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::backend::PATIENCE;
use super::edge::Edge;
use super::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING, PRIORITY,
    PROTOCOL_ERROR, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get, header, next, request, text,
};
use super::raw::{QUICK, under};

const PUSH_PROMISE: u8 = 5;
const PADDED: u8 = 8;

/// How a connection or a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    GoAway(u32),
    Reset(u32),
    Closed,
    /// It was answered as a request; true: as one that is right.
    Answered(bool),
}

/// What the gateway says to it.
async fn end_of(peer: &mut Peer) -> End {
    let heard = async {
        while let Some(heard) = peer.next().await {
            match heard.kind {
                GOAWAY if heard.error() != 0 => return End::GoAway(heard.error()),
                RST_STREAM => return End::Reset(heard.error()),
                HEADERS => return End::Answered(heard.is_status(200)),
                _ => {}
            }
        }
        End::Closed
    };
    timeout(PATIENCE, heard).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_rules_end_what_they_belong_to() {
    let edge = Edge::start_with(QUICK).await;
    let ask = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/health/live"));
    let open = frame(HEADERS, END_HEADERS, 1, &request(0x83, "/api/v1/auth/login"));
    let setting = |id: u16, value: u32| {
        let payload = [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    let reset = |stream| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a frame over the limit", frame(DATA, 0, 1, &[0; 16_385])),
        ("a request on stream 0", ask(0)),
        ("a request on an even stream", ask(2)),
        ("a body on stream 0", frame(DATA, 0, 0, b"x")),
        ("a body before its request", frame(DATA, 0, 7, b"x")),
        ("a reset before its request", reset(7)),
        ("a reset of the connection", reset(0)),
        ("a reset of three bytes", frame(RST_STREAM, 0, 1, b"123")),
        (
            "a window before its request",
            frame(WINDOW_UPDATE, 0, 7, &1u32.to_be_bytes()),
        ),
        ("a window of three bytes", frame(WINDOW_UPDATE, 0, 0, b"123")),
        ("a ping of seven bytes", frame(PING, 0, 0, b"1234567")),
        ("a ping on a stream", frame(PING, 0, 1, b"12345678")),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("settings of five bytes", frame(SETTINGS, 0, 0, b"12345")),
        (
            "an acknowledgement with settings",
            frame(SETTINGS, ACK, 0, &[0, 4, 0, 0, 0, 1]),
        ),
        ("a push that is neither on nor off", setting(2, 2)),
        ("a window of 2^31", setting(4, 1 << 31)),
        ("frames of 16 bytes", setting(5, 16)),
        ("frames of 2^24", setting(5, 1 << 24)),
        (
            "a promise of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
        ),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &get("/")),
        ),
        (
            "a ping within a head",
            [
                frame(HEADERS, END_STREAM, 1, &get("/health/live")),
                frame(PING, 0, 0, b"12345678"),
            ]
            .concat(),
        ),
        (
            "a continuation of another stream",
            [
                frame(HEADERS, END_STREAM, 1, &get("/health/live")),
                frame(CONTINUATION, END_HEADERS, 3, &[]),
            ]
            .concat(),
        ),
        (
            "more padding than frame",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[200, 0x82]),
        ),
        (
            "a head of nonsense",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 40]),
        ),
        (
            "a header that the table lacks",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82, 0x86, 0xfe]),
        ),
        (
            "a table of 16 MiB",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&[0x3f, 0xe1, 0xff, 0xff, 0x07], get("/").as_slice()].concat(),
            ),
        ),
        ("a stream that goes back", [ask(5), ask(3)].concat()),
        ("a body after its end", [ask(1), frame(DATA, 0, 1, b"x")].concat()),
        ("a head after its end", [ask(1), ask(1)].concat()),
        (
            "a second head that ends nothing",
            [open.clone(), frame(HEADERS, END_HEADERS, 1, &header("x", "y"))].concat(),
        ),
        (
            "a method among the trailers",
            [open.clone(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82])].concat(),
        ),
        (
            "no path",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82, 0x86]),
        ),
        (
            "an empty path",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("")),
        ),
        (
            "two paths",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[get("/health/live"), vec![0x04], text("/")].concat(),
            ),
        ),
        (
            "a length that its body does not have",
            [
                frame(
                    HEADERS,
                    END_HEADERS,
                    1,
                    &[request(0x83, "/api/v1/auth/login"), header("content-length", "5")].concat(),
                ),
                frame(DATA, END_STREAM, 1, b"{}"),
            ]
            .concat(),
        ),
        (
            "a stream that depends on itself",
            frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 0]),
        ),
    ];
    let ends = under(&edge, async {
        let mut ends = Vec::new();
        for (what, frames) in &cases {
            let mut peer = Peer::open(&edge, &[]).await;
            peer.send(frames).await;
            ends.push((*what, end_of(&mut peer).await));
        }
        ends
    })
    .await;
    // What came before the fault may have been answered already; the fault itself never is. Trailers are not looked at.
    let may_be_answered = [
        "a method among the trailers",
        "a stream that goes back",
        "a body after its end",
        "a head after its end",
    ];
    let wrong: Vec<_> = ends
        .iter()
        .filter(|(what, end)| *end == End::Answered(true) && !may_be_answered.contains(what))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let cut = ends
        .iter()
        .filter(|(_, end)| matches!(end, End::GoAway(_)))
        .count();
    assert!(cut > 20, "{ends:?}");
}

/// CVE-2025-8671: the client makes the server reset its streams, which counts for nothing against the limit of open ones.
#[tokio::test(flavor = "multi_thread")]
async fn who_makes_us_reset_is_cut_off() {
    let edge = Edge::start_with(QUICK).await;
    let kinds: [fn(u32) -> Vec<u8>; 3] = [
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        // A body after the end of its request.
        |stream| frame(DATA, END_STREAM, stream, b"x"),
    ];
    let before = edge.seen.calls::<ListCourses>().len();
    let mut others = 0;
    for fault in kinds {
        let mut peer = Peer::open(&edge, &[]).await;
        let flood: Vec<u8> = (0..20_000u32)
            .flat_map(|number| {
                let stream = number * 2 + 1;
                let ask = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/api/v1/courses"));
                [ask, fault(stream)].concat()
            })
            .collect();
        let asked = edge.seen.calls::<ListCourses>().len();
        let (_, error) = under(&edge, async {
            let Peer { reads, writes } = &mut peer;
            let listen = async {
                let mut error = None;
                while let Some(heard) = timeout(PATIENCE, next(reads)).await.unwrap() {
                    if heard.kind == GOAWAY {
                        error = Some(heard.error());
                    }
                }
                error
            };
            tokio::join!(writes.write_all(&flood), listen)
        })
        .await;
        assert!(error.is_none_or(|error| error != 0), "{error:?}");
        others += edge.seen.calls::<ListCourses>().len() - asked;
    }
    // The calls of the other client are among them: answers are shared, so that few reach the service at all.
    assert!(others < 6_000, "{others} calls after {before}");
}

/// Requests that never end hold places: there are so many of a connection, and what is above is refused at once.
#[tokio::test(flavor = "multi_thread")]
async fn streams_over_the_limit_are_refused() {
    const REFUSED_STREAM: u32 = 7;
    let edge = Edge::start_with(QUICK).await;
    let mut peer = Peer::open(&edge, &[]).await;
    under(&edge, async {
        let head = [
            request(0x83, "/api/v1/auth/login"),
            header("content-type", "application/json"),
        ]
        .concat();
        // The limit holds from the moment in which the settings are acknowledged.
        while let Some(heard) = timeout(PATIENCE, peer.next()).await.unwrap() {
            if heard.kind == SETTINGS && heard.flags & ACK == 0 {
                break;
            }
        }
        peer.send(&frame(SETTINGS, ACK, 0, &[])).await;
        let open: Vec<u8> = (0..300u32)
            .flat_map(|number| frame(HEADERS, END_HEADERS, number * 2 + 1, &head))
            .collect();
        peer.send(&open).await;
        let (mut refused, mut answered) = (0, 0);
        while refused < 172 {
            let heard = timeout(PATIENCE, peer.next()).await.unwrap();
            let Some(heard) = heard else { break };
            match heard.kind {
                RST_STREAM => {
                    assert_eq!(heard.error(), REFUSED_STREAM);
                    refused += 1;
                }
                GOAWAY => {
                    assert!([PROTOCOL_ERROR, ENHANCE_YOUR_CALM].contains(&heard.error()));
                    break;
                }
                // Their bodies did not arrive in time, which made places.
                HEADERS => answered += 1,
                _ => {}
            }
        }
        assert!(
            refused >= 172 || answered > 0,
            "{refused} refused, {answered} answered"
        );
    })
    .await;
}

/// There is no tunnel here, and no WebSocket over HTTP/2 (RFC 8441) unless it is offered.
#[tokio::test(flavor = "multi_thread")]
async fn connect_opens_nothing() {
    let edge = Edge::start_with(QUICK).await;
    let method = [vec![0x02], text("CONNECT")].concat();
    let authority = [vec![0x01], text("127.0.0.1:1")].concat();
    let tunnel = [method.clone(), authority.clone()].concat();
    let socket = [
        method.clone(),
        header(":protocol", "websocket"),
        vec![0x86],
        authority.clone(),
        vec![0x04],
        text("/api/v1/live"),
    ]
    .concat();
    let with_path = [method, vec![0x86], authority, vec![0x04], text("/health/live")].concat();
    under(&edge, async {
        for head in [tunnel, socket, with_path] {
            let mut peer = Peer::open(&edge, &[]).await;
            peer.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
            loop {
                match timeout(PATIENCE, peer.next()).await.unwrap() {
                    Some(heard) if heard.kind == HEADERS => {
                        assert!(!heard.is_status(200), "a tunnel");
                        break;
                    }
                    Some(heard) if heard.kind == RST_STREAM || heard.kind == GOAWAY => break,
                    Some(_) => {}
                    None => break,
                }
            }
        }
    })
    .await;
}

/// Whatever stands after the body says nothing about the request.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_carry_no_credentials() {
    let edge = Edge::start_with(QUICK).await;
    let token = edge.token(&["courses:write"]);
    let mut peer = Peer::open(&edge, &[]).await;
    let head = [
        request(0x83, "/api/v1/courses"),
        header("content-type", "application/json"),
    ]
    .concat();
    let trailers = [
        header("authorization", &token),
        header("idempotency-key", "a"),
        header("x-client-ip", "192.0.2.1"),
    ]
    .concat();
    peer.send(
        &[
            frame(HEADERS, END_HEADERS, 1, &head),
            frame(DATA, 0, 1, br#"{"title":"T"}"#),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers),
        ]
        .concat(),
    )
    .await;
    let answer = peer.first(HEADERS, 1).await.unwrap();
    assert!(
        !answer.is_status(200) && !answer.is_status(400),
        "{:?}",
        answer.payload
    );
    assert_eq!(edge.seen.calls::<CreateCourse>().len(), 0);
    // And a flood of them is bounded as a head is.
    let mut peer = Peer::open(&edge, &[]).await;
    under(&edge, async {
        peer.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
        peer.send(&frame(HEADERS, END_STREAM, 1, &header("x", "y"))).await;
        let more = frame(CONTINUATION, 0, 1, &header("x", &"y".repeat(16_000)));
        assert!(peer.flood(&more).await, "endless trailers hold their connection");
    })
    .await;
}

/// Of a head in small pieces each is cheap to send: it is judged by what it unpacks to.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_many_small_headers_is_refused() {
    let edge = Edge::start_with(QUICK).await;
    let crumbs = header("cookie", "a=b").repeat(1_200);
    let many: Vec<u8> = (0..1_200)
        .flat_map(|number| header(&format!("x-{number}"), "y"))
        .collect();
    under(&edge, async {
        for more in [&crumbs, &many] {
            let mut peer = Peer::open(&edge, &[]).await;
            let head = [get("/api/v1/courses"), more.clone()].concat();
            let mut frames = Vec::new();
            let pieces: Vec<&[u8]> = head.chunks(8_000).collect();
            for (number, piece) in pieces.iter().enumerate() {
                let kind = if number == 0 { HEADERS } else { CONTINUATION };
                let mut flags = if number == 0 { END_STREAM } else { 0 };
                if number + 1 == pieces.len() {
                    flags |= END_HEADERS;
                }
                frames.extend(frame(kind, flags, 1, piece));
            }
            peer.send(&frames).await;
            let answer = timeout(Duration::from_secs(20), peer.first(HEADERS, 1))
                .await
                .unwrap();
            assert!(answer.is_none_or(|answer| answer.is_status(431)));
        }
    })
    .await;
}
