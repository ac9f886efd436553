//! HTTP/2 in raw frames, as no library would send them.

use std::time::Duration;

use contracts::catalog::v1::rpc::ListCourses;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{interval, timeout};

use super::backend::PATIENCE;
use super::edge::Edge;
use super::raw::{QUICK, deaf, under};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// `431` in HPACK's Huffman code.
const HUFFMAN_431: &[u8] = &[0x69, 0x90, 0xff];

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A text of HPACK: its length with a prefix of seven bits, and its bytes.
pub fn text(text: &str) -> Vec<u8> {
    let mut coded = Vec::new();
    if text.len() < 127 {
        coded.push(u8::try_from(text.len()).unwrap());
    } else {
        coded.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            coded.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        coded.push(u8::try_from(rest).unwrap());
    }
    coded.extend(text.as_bytes());
    coded
}

/// `:method`, `:scheme`, `:authority` and `:path`.
pub fn request(method: u8, path: &str) -> Vec<u8> {
    [vec![method, 0x86, 0x01], text("x"), vec![0x04], text(path)].concat()
}

pub fn get(path: &str) -> Vec<u8> {
    request(0x82, path)
}

pub fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

pub struct Peer {
    pub reads: OwnedReadHalf,
    pub writes: OwnedWriteHalf,
}

pub struct Heard {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Heard {
    /// The error code of RST_STREAM and GOAWAY.
    pub fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub fn is_status(&self, status: u16) -> bool {
        // What the static table does not have is written out.
        let indexed = match status {
            200 => 0x88,
            400 => 0x8c,
            _ => 0,
        };
        let coded: &[u8] = if status == 431 { HUFFMAN_431 } else { b"none" };
        self.kind == HEADERS
            && (self.payload[0] == indexed || self.payload.windows(coded.len()).any(|some| some == coded))
    }
}

impl Peer {
    pub async fn open(edge: &Edge, settings: &[u8]) -> Self {
        let (reads, mut writes) = deaf(edge.address).await.into_split();
        writes
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        writes.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        Self { reads, writes }
    }

    pub async fn send(&mut self, frames: &[u8]) {
        self.writes.write_all(frames).await.unwrap();
    }

    /// Sends the same again and again, without reading, until the gateway has enough of it. The buffers of the system are filled first.
    pub async fn flood(&mut self, frames: &[u8]) -> bool {
        let flood = async { while self.writes.write_all(frames).await.is_ok() {} };
        timeout(PATIENCE * 3, flood).await.is_ok()
    }

    /// `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Heard> {
        next(&mut self.reads).await
    }

    /// The first frame of a kind on a stream; GOAWAY and the end are an end.
    pub async fn first(&mut self, kind: u8, stream: u32) -> Option<Heard> {
        loop {
            let heard = timeout(PATIENCE, self.next()).await.unwrap()?;
            if heard.kind == kind && heard.stream == stream {
                return Some(heard);
            }
        }
    }

    /// The error of the GOAWAY with which the connection ends. It has to end.
    pub async fn cut(&mut self) -> Option<u32> {
        let mut error = None;
        while let Some(heard) = timeout(PATIENCE, self.next()).await.unwrap() {
            if heard.kind == GOAWAY {
                error = Some(heard.error());
            }
        }
        error
    }

    /// Checks that this very connection still serves.
    pub async fn check_serves(&mut self, stream: u32) {
        let ask = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/health/live"));
        self.send(&ask).await;
        assert!(self.first(HEADERS, stream).await.unwrap().is_status(200));
    }
}

pub async fn next(reads: &mut OwnedReadHalf) -> Option<Heard> {
    let mut head = [0; 9];
    reads.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    reads.read_exact(&mut payload).await.ok()?;
    Some(Heard {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
        payload,
    })
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn a_rapid_reset_is_cut_off() {
    let edge = Edge::start_with(QUICK).await;
    let mut peer = Peer::open(&edge, &[]).await;
    let flood: Vec<u8> = (0..10_000u32)
        .flat_map(|number| {
            let stream = number * 2 + 1;
            let ask = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/api/v1/courses"));
            [ask, frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
        })
        .collect();
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
    assert!(matches!(error, None | Some(ENHANCE_YOUR_CALM)), "{error:?}");
    // The other client's calls are among them.
    let calls = edge.seen.calls::<ListCourses>().len();
    assert!(calls < 2_000, "{calls} calls");
}

/// CVE-2024-27316 and its like.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_an_end_is_cut_off() {
    let edge = Edge::start_with(QUICK).await;
    let value = "y".repeat(16_000);
    let full = frame(CONTINUATION, 0, 1, &header("x", &value));
    let small = frame(CONTINUATION, 0, 1, &header("x", "y"));
    let empty = frame(CONTINUATION, 0, 1, &[]);
    // A text that says it is longer than all that follows.
    let endless = frame(
        CONTINUATION,
        0,
        1,
        &[vec![0, 1, b'x'], vec![127, 255, 255, 255, 7], vec![b'y'; 16_000]].concat(),
    );
    under(&edge, async {
        for more in [&full, &small, &empty, &endless] {
            let mut peer = Peer::open(&edge, &[]).await;
            peer.send(&frame(HEADERS, END_STREAM, 1, &get("/health/live")))
                .await;
            assert!(peer.flood(more).await, "an endless head holds its connection");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_that_want_an_answer_are_cut_off_when_nobody_reads_it() {
    let edge = Edge::start_with(QUICK).await;
    under(&edge, async {
        for flood in [
            frame(PING, 0, 0, b"12345678"),
            frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        ] {
            let mut peer = Peer::open(&edge, &[]).await;
            // Something was asked for once, so that it is no connection without a request.
            peer.check_serves(1).await;
            assert!(peer.flood(&flood.repeat(1_000)).await, "kind {}", flood[3]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_that_mean_nothing_keep_nobody_away() {
    let edge = Edge::start_with(QUICK).await;
    under(&edge, async {
        for flood in [
            frame(PING, 0, 0, b"12345678"),
            frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
            frame(WINDOW_UPDATE, 0, 5, &1u32.to_be_bytes()),
            frame(250, 0, 0, b"unknown"),
        ] {
            let mut peer = Peer::open(&edge, &[]).await;
            peer.check_serves(5).await;
            let Peer { reads, writes } = &mut peer;
            let flood = flood.repeat(50_000);
            let listen = async { while next(reads).await.is_some() {} };
            tokio::select! {
                _ = writes.write_all(&flood) => {}
                () = listen => {}
            }
        }
    })
    .await;
}

/// Frames of a body that never grows: they cost no window.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_empty_frames_ends() {
    let edge = Edge::start_with(QUICK).await;
    let mut peer = Peer::open(&edge, &[]).await;
    let head = [
        request(0x83, "/api/v1/auth/login"),
        header("content-type", "application/json"),
    ]
    .concat();
    peer.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    let Peer { reads, writes } = &mut peer;
    let flood = async {
        let empty = frame(DATA, 0, 1, &[]).repeat(100);
        let mut tick = interval(Duration::from_millis(10));
        while writes.write_all(&empty).await.is_ok() {
            tick.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let listen = async {
        while let Some(heard) = next(reads).await {
            if heard.kind == HEADERS && heard.stream == 1 {
                return Some(heard);
            }
        }
        None
    };
    let answer = under(&edge, async {
        tokio::select! {
            answer = timeout(PATIENCE, listen) => answer.unwrap(),
            () = flood => None,
        }
    })
    .await;
    assert!(answer.is_none_or(|answer| answer.is_status(400)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused_and_the_connection_lives() {
    let edge = Edge::start_with(QUICK).await;
    let mut peer = Peer::open(&edge, &[]).await;
    under(&edge, async {
        let value = "y".repeat(10_000);
        let head = [get("/api/v1/courses"), header("a", &value)].concat();
        peer.send(&frame(HEADERS, END_STREAM, 1, &head)).await;
        peer.send(&frame(CONTINUATION, 0, 1, &header("b", &value))).await;
        peer.send(&frame(CONTINUATION, 0, 1, &header("c", &value))).await;
        peer.send(&frame(CONTINUATION, END_HEADERS, 1, &header("d", &value)))
            .await;
        let answer = peer.first(HEADERS, 1).await.unwrap();
        assert!(answer.is_status(431), "{:?}", answer.payload);
        peer.check_serves(3).await;
    })
    .await;
}

/// A few bytes that stand for many: a header is put into the table once and named 15,000 times.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_unpacks_to_60_mb_is_refused() {
    let edge = Edge::start_with(QUICK).await;
    let mut peer = Peer::open(&edge, &[]).await;
    let kept = [vec![0x40], text("x"), text(&"y".repeat(4_000))].concat();
    let head = [get("/api/v1/courses"), kept, vec![0xbe; 12_000]].concat();
    under(&edge, async {
        peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head))
            .await;
        loop {
            match timeout(PATIENCE, peer.next()).await.unwrap() {
                None => break,
                Some(heard) if heard.kind == GOAWAY || heard.kind == RST_STREAM => break,
                Some(heard) if heard.kind == HEADERS => {
                    assert!(heard.is_status(431), "{:?}", heard.payload);
                    break;
                }
                Some(_) => {}
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_overflow_end_what_they_belong_to() {
    let edge = Edge::start_with(QUICK).await;
    let most = 0x7fff_ffff_u32.to_be_bytes();
    let of_connection = async {
        let mut peer = Peer::open(&edge, &[]).await;
        peer.send(&frame(WINDOW_UPDATE, 0, 0, &most)).await;
        peer.cut().await
    };
    assert_eq!(under(&edge, of_connection).await, Some(FLOW_CONTROL_ERROR));

    let mut peer = Peer::open(&edge, &[0, 4, 0, 0, 0, 0]).await;
    peer.send(&frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        &get("/openapi.json"),
    ))
    .await;
    peer.first(HEADERS, 1).await.unwrap();
    peer.send(&frame(WINDOW_UPDATE, 0, 1, &most).repeat(2)).await;
    let reset = peer.first(RST_STREAM, 1).await;
    assert!(reset.is_none_or(|reset| reset.error() == FLOW_CONTROL_ERROR));

    let nothing = async {
        let mut peer = Peer::open(&edge, &[]).await;
        peer.send(&frame(WINDOW_UPDATE, 0, 0, &[0; 4])).await;
        peer.cut().await
    };
    assert_eq!(under(&edge, nothing).await, Some(PROTOCOL_ERROR));
}

/// It reads, it answers pings, and it takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_opens_a_window_is_cut_off() {
    let edge = Edge::start_with(QUICK).await;
    for window in [0, 1] {
        let mut peer = Peer::open(&edge, &[0, 4, 0, 0, 0, window]).await;
        under(&edge, async {
            for number in 0..100 {
                let ask = frame(
                    HEADERS,
                    END_STREAM | END_HEADERS,
                    number * 2 + 1,
                    &get("/openapi.json"),
                );
                peer.send(&ask).await;
            }
            let ended = async {
                while let Some(heard) = peer.next().await {
                    let is_question = heard.flags & ACK == 0;
                    if heard.kind == PING && is_question {
                        let _ = peer.writes.write_all(&frame(PING, ACK, 0, &heard.payload)).await;
                    }
                }
            };
            assert!(
                timeout(PATIENCE, ended).await.is_ok(),
                "a window of {window} holds its connection"
            );
        })
        .await;
    }
}

/// Who opens it a little now and then gets all of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_opens_a_window_slowly_gets_everything() {
    let edge = Edge::start_with(QUICK).await;
    let mut peer = Peer::open(&edge, &[0, 4, 0, 0, 0x20, 0]).await;
    peer.send(&frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        &get("/openapi.json"),
    ))
    .await;
    let mut tick = interval(Duration::from_millis(20));
    let mut body: Vec<u8> = Vec::new();
    loop {
        let heard = peer.first(DATA, 1).await.unwrap();
        body.extend(&heard.payload);
        if heard.flags & END_STREAM != 0 {
            break;
        }
        tick.tick().await;
        let more = u32::try_from(heard.payload.len()).unwrap().max(1).to_be_bytes();
        peer.send(
            &[
                frame(WINDOW_UPDATE, 0, 1, &more),
                frame(WINDOW_UPDATE, 0, 0, &more),
            ]
            .concat(),
        )
        .await;
    }
    assert_eq!(body, contracts::OPENAPI_JSON.as_bytes());
}

/// What of HTTP/1.1 has no meaning here does not become one (RFC 9113, section 8.2).
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_http1_are_no_way_in() {
    let edge = Edge::start_with(QUICK).await;
    let cases = [
        header("transfer-encoding", "chunked"),
        header("connection", "close"),
        header("upgrade", "h2c"),
        header("te", "gzip"),
        header("Host", "x"),
        header("x", "a\r\nset-cookie: injected=1"),
        header("x", "a\nb"),
        header("x\r\ny", "a"),
        header("", "a"),
        header("x y", "a"),
        header(":path", "/again"),
        header(":method", "GET"),
        header(":status", "200"),
        header("content-length", "5"),
        header("content-length", "+0"),
        header("content-length", "0x0"),
    ];
    under(&edge, async {
        for case in &cases {
            let mut peer = Peer::open(&edge, &[]).await;
            let head = [get("/health/live"), case.clone()].concat();
            peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head))
                .await;
            // The stream is reset, the connection ended, or the request answered as one that does not have the header.
            loop {
                match timeout(PATIENCE, peer.next()).await.unwrap() {
                    Some(heard) if heard.kind == HEADERS => {
                        assert!(heard.is_status(400) || heard.is_status(200));
                        assert!(!String::from_utf8_lossy(&heard.payload).contains("injected"));
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
