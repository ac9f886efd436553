//! Requests that two parties may read differently: one answer at most, and never one to what is hidden inside.

use contracts::auth::v1::rpc::Login;
use futures::future::join_all;

use super::edge::Edge;
use super::raw::{QUICK, say, statuses, under};

/// What an attacker hides.
const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
const BODY: &str = r#"{"email":"a@b.co","password":"x"}"#;

struct Shape {
    name: &'static str,
    request: String,
    /// Any of these.
    expected: &'static [u16],
}

fn shape(name: &'static str, request: impl Into<String>, expected: &'static [u16]) -> Shape {
    Shape {
        name,
        request: request.into(),
        expected,
    }
}

/// A sign-in with these lines in its head.
fn login(lines: &str, body: &str) -> String {
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}\r\n{body}"
    )
}

/// A sign-in whose chunks are these.
fn chunked(chunks: &str) -> String {
    login("Transfer-Encoding: chunked\r\n", chunks)
}

fn live(lines: &str) -> String {
    format!("GET /health/live HTTP/1.1\r\n{lines}\r\n")
}

const BAD: &[u16] = &[400];
const OK: &[u16] = &[200];
/// Read in the one way that the standard knows, and refused for what is in it.
const ONE_READING: &[u16] = &[400, 422];

fn shapes() -> Vec<Shape> {
    let hidden = HIDDEN.len();
    let ends_early = format!("0\r\n\r\n{HIDDEN}");
    let chunk = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let mut shapes = vec![
        shape(
            "Content-Length, then Transfer-Encoding",
            login(
                &format!(
                    "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                    ends_early.len()
                ),
                &ends_early,
            ),
            OK,
        ),
        shape(
            "Transfer-Encoding, then Content-Length",
            login(
                &format!(
                    "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
                    ends_early.len()
                ),
                &ends_early,
            ),
            OK,
        ),
        shape(
            "two lengths that differ",
            login(
                &format!("Content-Length: 0\r\nContent-Length: {hidden}\r\n"),
                HIDDEN,
            ),
            BAD,
        ),
        shape(
            "one length twice",
            login(
                &format!("Content-Length: {0}\r\nContent-Length: {0}\r\n", BODY.len()),
                BODY,
            ),
            OK,
        ),
        shape(
            "obs-fold",
            login("Transfer-Encoding:\r\n chunked\r\n", &ends_early),
            BAD,
        ),
        shape(
            "a folded header",
            login(&format!("X: a\r\n b\r\nContent-Length: {hidden}\r\n"), HIDDEN),
            BAD,
        ),
        shape(
            "a space before the colon",
            login("Transfer-Encoding : chunked\r\n", &ends_early),
            BAD,
        ),
        shape(
            "a space before the colon of the length",
            login("Content-Length : 0\r\n", HIDDEN),
            BAD,
        ),
        shape(
            "a tab before the colon",
            login("Transfer-Encoding\t: chunked\r\n", &ends_early),
            BAD,
        ),
        shape(
            "an underscore for a hyphen",
            login(
                &format!(
                    "Transfer_Encoding: chunked\r\nContent-Length: {}\r\n",
                    ends_early.len()
                ),
                &ends_early,
            ),
            ONE_READING,
        ),
        shape(
            "bare line feeds",
            login(&format!("Content-Length: {hidden}\r\n"), HIDDEN).replacen("\r\n", "\n", 5),
            ONE_READING,
        ),
        shape(
            "a bare CR in a header",
            login("X: a\rTransfer-Encoding: chunked\r\n", &ends_early),
            BAD,
        ),
        shape(
            "a bare CR as the end of a line",
            login("X: a\r", &ends_early),
            BAD,
        ),
        shape("NUL in a header", login("X: a\0b\r\n", ""), BAD),
        shape("NUL in a name", login("X\0: a\r\n", ""), BAD),
        shape("a header without a colon", login("X\r\n", ""), BAD),
        shape("a header without a name", login(": a\r\n", ""), BAD),
        shape("whitespace before the first header", live(" Host: x\r\n"), BAD),
        shape("no Host", live(""), BAD),
        shape("two Hosts", live("Host: x\r\nHost: y\r\n"), BAD),
        shape("the same Host twice", live("Host: x\r\nHost: x\r\n"), BAD),
        shape("two names in one Host", live("Host: x, y\r\n"), BAD),
        shape("a path in Host", live("Host: x/y\r\n"), BAD),
        shape("a user in Host", live("Host: x:80:81\r\n"), BAD),
        shape(
            "a whole address for another host",
            "GET http://other/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
            OK,
        ),
        shape(
            "a whole address and no Host",
            "GET http://other/health/live HTTP/1.1\r\n\r\n",
            BAD,
        ),
        shape(
            "chunks in HTTP/1.0",
            login("Transfer-Encoding: chunked\r\n", &ends_early).replacen("HTTP/1.1", "HTTP/1.0", 1),
            BAD,
        ),
        shape(
            "an upgrade to h2c",
            live(
                "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            ),
            OK,
        ),
        shape(
            "a tab in the first line",
            live("Host: x\r\n").replacen(' ', "\t", 1),
            BAD,
        ),
        shape(
            "a third part in the first line",
            live("Host: x\r\n").replacen("live ", "live x ", 1),
            BAD,
        ),
        shape(
            "a method with brackets",
            "G(T /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
            BAD,
        ),
        shape(
            "a method with NUL",
            "GE\0T /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
            BAD,
        ),
        shape(
            "a method in lower case",
            "get /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
            &[405],
        ),
        shape("HTTP/0.9", "GET /health/live\r\n\r\n", BAD),
        shape("HTTP/1.2", "GET /health/live HTTP/1.2\r\nHost: x\r\n\r\n", BAD),
        shape("HTTP/3.0", "GET /health/live HTTP/3.0\r\nHost: x\r\n\r\n", BAD),
        shape("http/1.1", "GET /health/live http/1.1\r\nHost: x\r\n\r\n", BAD),
        shape(
            "CONNECT",
            "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
            &[400, 404, 405],
        ),
        shape(
            "an asterisk",
            "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            &[200, 400, 404, 405],
        ),
        shape(
            "200 headers",
            live(&format!("Host: x\r\n{}", "X: y\r\n".repeat(200))),
            &[431],
        ),
        shape(
            "a header of 100 kB",
            live(&format!("Host: x\r\nX: {}\r\n", "y".repeat(100_000))),
            &[431],
        ),
        shape("proper chunks", chunked(&chunk), OK),
        shape(
            "proper chunks, spelt loudly",
            login("TRANSFER-ENCODING:CHUNKED\r\n", &chunk),
            OK,
        ),
        shape(
            "a chunk of 2^64",
            chunked(&format!("10000000000000000\r\n{BODY}\r\n{ends_early}")),
            BAD,
        ),
        shape(
            "a chunk of 2^68 - 1",
            chunked(&format!("FFFFFFFFFFFFFFFFF\r\n{BODY}\r\n{ends_early}")),
            BAD,
        ),
        shape("a negative chunk", chunked(&format!("-1\r\n{ends_early}")), BAD),
        shape(
            "a chunk in hex with its mark",
            chunked(&format!("0x0\r\n\r\n{HIDDEN}")),
            BAD,
        ),
        shape("a chunk of nonsense", chunked(&format!("g\r\n{ends_early}")), BAD),
        shape(
            "a chunk without a size",
            chunked(&format!("\r\n{ends_early}")),
            BAD,
        ),
        shape(
            "more in the chunk than its size",
            chunked(&format!("1\r\n{BODY}\r\n{ends_early}")),
            BAD,
        ),
        shape(
            "a chunk with bare line feeds",
            chunked(&format!("1\n{{\n0\n\n{HIDDEN}")),
            BAD,
        ),
        shape(
            "words after the size",
            chunked(&format!("1 x\r\n{{\r\n{ends_early}")),
            BAD,
        ),
        shape(
            "a flood of an extension",
            chunked(&format!("1;{}\r\n{{\r\n{ends_early}", "x".repeat(100_000))),
            BAD,
        ),
        shape(
            "a flood of extensions",
            chunked(&format!(
                "{}0\r\n\r\n",
                "1;xxxxxxxxxxxxxxxxxxxxxxxxxx\r\n \r\n".repeat(10_000)
            )),
            BAD,
        ),
        shape(
            "a line feed in an extension",
            chunked(&format!("1;\n{{\r\n{ends_early}")),
            BAD,
        ),
        shape(
            "a flood of trailers",
            chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(20_000))),
            BAD,
        ),
        shape("an end that is missing", chunked("1\r\n{\r\n"), BAD),
    ];
    for length in [
        "+5",
        "-1",
        "5,5",
        "5, 6",
        "0x5",
        "5 5",
        "",
        "1e1",
        "5.0",
        "18446744073709551616",
        "٥",
        "\"5\"",
        "5;q=1",
    ] {
        shapes.push(shape(
            "a length that is no number",
            login(&format!("Content-Length: {length}\r\n"), HIDDEN),
            BAD,
        ));
    }
    for coding in [
        "chunked, identity",
        "identity, chunked",
        "identity",
        "xchunked",
        "chunked, chunked",
        "gzip, chunked",
        "\u{b}chunked",
        "\"chunked\"",
        "chunked;q=1",
        "chunked,",
        "",
    ] {
        shapes.push(shape(
            "a transfer coding that is not ours",
            login(&format!("Transfer-Encoding: {coding}\r\n"), &ends_early),
            BAD,
        ));
    }
    shapes.push(shape(
        "chunked in two lines",
        login(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            &ends_early,
        ),
        BAD,
    ));
    shapes.push(shape(
        "a coding, then chunked",
        login(
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            &ends_early,
        ),
        BAD,
    ));
    shapes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_within_a_request_is_not_answered() {
    let edge = Edge::start_with(QUICK).await;
    let shapes = shapes();
    assert!(shapes.len() >= 80, "{}", shapes.len());
    let attacks = shapes
        .iter()
        .map(|shape| say(edge.address, shape.request.as_bytes()));
    let heard = under(&edge, join_all(attacks)).await;
    let mut wrong = Vec::new();
    for (shape, heard) in shapes.iter().zip(&heard) {
        let found = statuses(heard);
        let is_right = matches!(found.as_slice(), [one] if shape.expected.contains(one));
        if !is_right {
            let first = shape.request.lines().nth(3).unwrap_or_default();
            wrong.push(format!("{} ({first:.80}): {found:?}", shape.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        shapes.len(),
        wrong.join("\n")
    );
    // Of the sign-ins those alone arrived that are right.
    let right = shapes
        .iter()
        .filter(|shape| shape.expected == OK && shape.request.starts_with("POST"));
    assert_eq!(edge.seen.calls::<Login>().len(), right.count());
}
