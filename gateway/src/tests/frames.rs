//! WebSocket in raw frames (RFC 6455, section 5), as no library would send them.

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use typed_id::{SessionId, UserId};

use super::backend::PATIENCE;
use super::edge::{Edge, Options};
use super::raw::{deaf, say, statuses, under};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const KEY: [u8; 4] = [1, 2, 3, 4];

/// A masked frame of this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64, true);
    frame.extend(KEY);
    frame.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

fn head(first: u8, length: u64, is_masked: bool) -> Vec<u8> {
    let mask = if is_masked { 0x80 } else { 0 };
    let mut head = vec![first];
    match length {
        0..126 => head.push(mask | u8::try_from(length).unwrap()),
        126..0x1_0000 => {
            head.push(mask | 0x7e);
            head.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            head.push(mask | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head
}

fn handshake(edge: &Edge) -> String {
    let now = edge.clock.now();
    let token = edge.token_of(UserId::new(now), SessionId::new(now), &[]);
    format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer, {token}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    )
}

/// An open socket that has heard `ready`.
async fn open(edge: &Edge) -> TcpStream {
    let mut stream = deaf(edge.address).await;
    stream.write_all(handshake(edge).as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(br#"{"type":"ready"}"#) {
        let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
        heard.push(byte.unwrap());
    }
    let answer = String::from_utf8_lossy(&heard).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    // Nothing is compressed: a few bytes would stand for many.
    assert!(!answer.contains("sec-websocket-extensions"), "{answer}");
    stream
}

/// The code of the close frame with which the socket ends, and how many other frames came before; it has to end.
async fn ending(stream: &mut TcpStream) -> (Option<u16>, usize) {
    let mut others = 0;
    let ended = async {
        loop {
            let mut head = [0; 2];
            if stream.read_exact(&mut head).await.is_err() {
                return None;
            }
            let length = match head[1] {
                126 => usize::from(stream.read_u16().await.unwrap()),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            if stream.read_exact(&mut payload).await.is_err() {
                return None;
            }
            if head[0] == FIN | CLOSE {
                return (length >= 2).then(|| u16::from_be_bytes([payload[0], payload[1]]));
            }
            others += 1;
        }
    };
    let code = timeout(PATIENCE, ended).await.expect("the socket stays open");
    (code, others)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_rules_end_the_socket() {
    let edge = Edge::start().await;
    let unmasked = [head(FIN | TEXT, 2, false), b"{}".to_vec()].concat();
    let huge = |length| [head(FIN | TEXT, length, true), KEY.to_vec()].concat();
    let in_two = [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat();
    let broken: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("an unmasked frame", unmasked, &[1002]),
        ("a compressed frame", frame(FIN | RSV1 | TEXT, b"{}"), &[1002]),
        ("a reserved bit", frame(FIN | 0x20 | TEXT, b"{}"), &[1002]),
        ("a reserved kind of data", frame(FIN | 3, b"{}"), &[1002]),
        ("a reserved kind of control", frame(FIN | 0xb, b"{}"), &[1002]),
        ("a ping of 126 bytes", frame(FIN | PING, &[b'x'; 126]), &[1002]),
        ("a ping in pieces", frame(PING, b"x"), &[1002]),
        (
            "a continuation of nothing",
            frame(FIN | CONTINUATION, b"x"),
            &[1002],
        ),
        ("a text within a text", in_two, &[1002]),
        ("a text of 2^40 bytes", huge(1 << 40), &[1009, 1002]),
        ("a text of 2^63 bytes", huge(1 << 63), &[1009, 1002]),
        (
            "a text that is none",
            frame(FIN | TEXT, b"\xff\xfe"),
            &[1007, 1002],
        ),
        (
            "pieces that are too much together",
            [frame(TEXT, &[b'x'; 40_000]), frame(CONTINUATION, &[b'x'; 40_000])].concat(),
            &[1009],
        ),
        ("a close of one byte", frame(FIN | CLOSE, b"x"), &[1002]),
        (
            "a close that is no text",
            frame(FIN | CLOSE, b"\x03\xe8\xff"),
            &[1007, 1002],
        ),
    ];
    let sockets = broken.iter().map(|(_, frames, _)| async {
        let mut stream = open(&edge).await;
        stream.write_all(frames).await.unwrap();
        ending(&mut stream).await
    });
    let ends = under(&edge, join_all(sockets)).await;
    let wrong: Vec<_> = broken
        .iter()
        .zip(&ends)
        .filter(|((_, _, expected), (code, others))| {
            *others > 0 || code.is_some_and(|code| !expected.contains(&code))
        })
        .map(|((what, ..), end)| (what, end))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // Codes of a close that nobody may send are never sent back.
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535] {
        let mut stream = open(&edge).await;
        stream
            .write_all(&frame(FIN | CLOSE, &code.to_be_bytes()))
            .await
            .unwrap();
        let (answered, _) = ending(&mut stream).await;
        assert!(
            answered.is_none_or(|answered| answered != code || code == 2999),
            "{code}: {answered:?}"
        );
    }
}

/// Floods that cost the sender little: another client is served, and nothing piles up.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_keep_nobody_away() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_LIVE__PING_SECONDS", "1"), ("SC_LIVE__SILENCE_SECONDS", "3")],
        ..Options::default()
    })
    .await;
    let floods = [
        frame(FIN | TEXT, b""),
        frame(FIN | TEXT, br#"{"type":"ping"}"#),
        frame(FIN | TEXT, "[".repeat(60_000).as_bytes()),
        frame(FIN | PING, b""),
        frame(FIN | PING, &[b'x'; 125]),
        frame(FIN | 0xa, b""),
        // Pieces of a message that never grows and never ends.
        frame(CONTINUATION, b""),
    ];
    let attackers = floods.iter().map(|flood| async {
        let mut stream = open(&edge).await;
        if flood[0] == CONTINUATION {
            stream.write_all(&frame(TEXT, b"")).await.unwrap();
        }
        let mut many = flood.repeat(((2 << 20) / flood.len()).max(200));
        if flood[0] == CONTINUATION {
            many.extend(frame(FIN | CLOSE, &1000u16.to_be_bytes()));
        }
        let (mut reads, mut writes) = stream.split();
        let mut heard = Vec::new();
        // A server that has heard enough closes while we still write.
        let talk = async { tokio::join!(writes.write_all(&many), reads.read_to_end(&mut heard)) };
        assert!(
            timeout(PATIENCE, talk).await.is_ok(),
            "a flood holds its socket: {:?}",
            &flood[..2]
        );
        heard
    });
    let heard = under(&edge, join_all(attackers)).await;
    let reason = b"too many messages";
    let told = heard
        .iter()
        .filter(|heard| heard.windows(reason.len()).any(|some| some == reason));
    // All but the pieces, which are no message until the last one: that socket ended as its client wished.
    assert_eq!(told.count(), floods.len() - 1);
    let mut stream = open(&edge).await;
    stream
        .write_all(&frame(FIN | CLOSE, &1000u16.to_be_bytes()))
        .await
        .unwrap();
    assert_eq!(ending(&mut stream).await.0, Some(1000));
}

/// What is not the handshake of RFC 6455 opens nothing, and a request behind one is a frame that makes no sense.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_opens_nothing() {
    let edge = Edge::start().await;
    let good = handshake(&edge).replace("Connection: Upgrade", "Connection: Upgrade, close");
    let without = |line: &str| {
        good.split("\r\n")
            .filter(|other| !other.starts_with(line))
            .collect::<Vec<_>>()
            .join("\r\n")
    };
    let cases = [
        good.replacen("GET", "POST", 1),
        good.replacen("HTTP/1.1", "HTTP/1.0", 1),
        without("Upgrade"),
        without("Sec-WebSocket-Key"),
        without("Sec-WebSocket-Version"),
        good.replace("Version: 13", "Version: 12"),
        good.replace("Version: 13", "Version: 13, 8"),
        good.replace("Upgrade: websocket", "Upgrade: h2c"),
        good.replace("Connection: Upgrade, close", "Connection: close"),
        without("Sec-WebSocket-Protocol"),
        good.replace("bearer, ", "bearer, x"),
        good.replace("/api/v1/live ", "/api/v1/live/ "),
        good.replace("/api/v1/live ", "/api/v1/live?after=nonsense "),
        good.replace("/api/v1/live ", "/api/v1/live?nonsense=1 "),
        good.replace("Host: x\r\n", "Host: x\r\nOrigin: https://evil.example\r\n"),
        good.replace("Host: x\r\n", "Host: x\r\nTransfer-Encoding: identity\r\n"),
    ];
    let heard = under(
        &edge,
        join_all(cases.iter().map(|case| say(edge.address, case.as_bytes()))),
    )
    .await;
    for (case, heard) in cases.iter().zip(&heard) {
        let found = statuses(heard);
        assert!(
            matches!(found.as_slice(), [status] if (400..500).contains(status)),
            "{found:?} to {case}"
        );
    }
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let behind = handshake(&edge) + "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(behind.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(statuses(&String::from_utf8_lossy(&heard)), [101]);
}
