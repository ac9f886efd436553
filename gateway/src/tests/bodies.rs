//! Bodies that are too large, too deep, or not what they say.

use bytes::Bytes;
use contracts::auth::v1::rpc::Login;
use contracts::catalog::v1::rpc::CreateCourse;
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::edge::{Answer, Edge, answer};
use super::raw::{QUICK, say, statuses, under};

const LOGIN: &str = "/api/v1/auth/login";
const JSON: (&str, &str) = ("content-type", "application/json");

#[track_caller]
fn check_refused(answer: &Answer, allowed: &[u16], what: &str) {
    assert!(allowed.contains(&answer.status), "{what:.200}: {}", answer.json());
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    answer.check_problem(answer.status, &code);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_too_many_is_too_many() {
    let edge = Edge::start().await;
    let padded = |length: usize| {
        let body = r#"{"email":"a@b.co","password":"x"}"#;
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    let send = async |length| edge.send("POST", LOGIN, &[JSON], padded(length).as_bytes()).await;
    assert_eq!(send(1 << 20).await.status, 200);
    under(&edge, async {
        for length in [(1 << 20) + 1, 10 << 20] {
            send(length).await.check_problem(413, "payload_too_large");
        }
        // Without a length that says so beforehand.
        let pieces = (0..2_000).map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b' '; 1_024]))));
        let body = reqwest::Body::wrap(StreamBody::new(futures::stream::iter(pieces)));
        let request = edge
            .client
            .post(edge.url(LOGIN))
            .header(JSON.0, JSON.1)
            .body(body);
        answer(request.send().await.unwrap())
            .await
            .check_problem(413, "payload_too_large");
    })
    .await;
    assert_eq!(edge.seen.calls::<Login>().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_beyond_the_length_is_not_part_of_the_body() {
    let edge = Edge::start_with(QUICK).await;
    let body = r#"{"email":"a@b.co","password":"x"}"#;
    let request = |length: usize| {
        format!(
            "POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    // The rest is read as a request, which it is not.
    assert_eq!(
        statuses(&say(edge.address, request(5).as_bytes()).await),
        [400, 400]
    );
    assert_eq!(
        statuses(&say(edge.address, request(body.len() - 1).as_bytes()).await),
        [400, 400]
    );
    assert_eq!(
        statuses(&say(edge.address, request(body.len() + 1).as_bytes()).await),
        [400]
    );
    assert_eq!(edge.seen.calls::<Login>().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_none_is_refused() {
    let edge = Edge::start().await;
    let token = edge.token(&["courses:write", "exams:manage"]);
    let teacher = [("authorization", token.as_str()), JSON];
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let deep = [
        nested("[", "]", 129),
        nested("{\"a\":", "}", 129),
        format!("{{\"title\":{}}}", nested("[", "]", 129)),
        format!("{{\"nobody_knows\":{}}}", nested("[", "]", 100_000)),
        format!(
            "{{\"title\":\"T\",\"nobody_knows\":{}}}",
            nested("{\"a\":", "}", 100_000)
        ),
        "[".repeat(1 << 20),
        "{\"title\":".repeat(100_000),
        "[{\"a\":".repeat(100_000),
        format!("{{\"title\":\"T\",\"seat_limit\":{}}}", "[".repeat(500_000)),
    ];
    let digits = |count| "9".repeat(count);
    let numbers: Vec<String> = [
        "1e999",
        "-1e999",
        "1e-999",
        "1.5",
        "-1",
        "2147483648",
        "9223372036854775808",
        "1e400000000000000000000",
        "0x10",
        "NaN",
        "Infinity",
        "-",
        "01",
        "+1",
        "1_000",
        "1e",
        "١",
        "true",
        "[]",
        "{}",
        "\"1e999\"",
        "\"0x10\"",
        "\" 1\"",
    ]
    .iter()
    .map(|number| (*number).to_owned())
    .chain([
        digits(400),
        format!("1{}", "0".repeat(400)),
        format!("0.{}", digits(400)),
        digits(500_000),
        format!("\"{}\"", digits(500_000)),
    ])
    .map(|number| format!("{{\"title\":\"T\",\"seat_limit\":{number}}}"))
    .collect();
    let texts = [
        r#"{"title":"\ud800"}"#,
        r#"{"title":"\udc00\ud800"}"#,
        r#"{"title":"\ud800\u0041"}"#,
        r#"{"title":"\u0000"}"#,
        r#"{"title":"\x41"}"#,
        r#"{"title":"\u12"}"#,
        "{\"title\":\"a\u{0}b\"}",
        "{\"title\":\"a\nb\"}",
        "{\"title\":\"T\",\"title\":\"U\"}",
        r#"{"title":"T","titl\u0065":"U"}"#,
        "{\"title\":\"T\",}",
        "{\"title\":\"T\"}x",
        "{\"title\":\"T\"}{\"title\":\"U\"}",
        "{'title':'T'}",
        "{title:\"T\"}",
        "{\"title\":\"T\"/**/}",
        "\u{feff}{\"title\":\"T\"}",
        "null",
        "true",
        "1",
        "\"title\"",
        "[]",
        "[{\"title\":\"T\"}]",
        " ",
        "{\"title\":[\"T\"]}",
        "{\"title\":{\"a\":\"T\"}}",
        "{\"title\":1}",
        "{\"title\":\"T\",\"__proto__\":{}}",
        "{\"title\":\"T\",\"constructor\":1}",
    ];
    let raw: [&[u8]; 12] = [
        b"{\"title\":\"\xc0\xaf\"}",
        b"{\"title\":\"\xe0\x80\xaf\"}",
        b"{\"title\":\"\xf0\x80\x80\xaf\"}",
        b"{\"title\":\"\xed\xa0\x80\"}",
        b"{\"title\":\"\xf4\x90\x80\x80\"}",
        b"{\"title\":\"\xff\"}",
        b"{\"title\":\"\x80\"}",
        b"{\"title\":\"\xc3\"}",
        b"\xff\xfe{\0\"\0t\0",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"title=T&x=y",
        b"\0",
    ];
    let bodies: Vec<Vec<u8>> = deep
        .iter()
        .chain(&numbers)
        .map(|text| text.clone().into_bytes())
        .chain(texts.iter().map(|text| text.as_bytes().to_vec()))
        .chain(raw.iter().map(|bytes| bytes.to_vec()))
        .collect();
    under(&edge, async {
        for body in &bodies {
            let answer = edge.send("POST", "/api/v1/courses", &teacher, body).await;
            check_refused(&answer, &[400, 422, 413], &String::from_utf8_lossy(body));
        }
        let import = "/api/v1/courses/0193b2a4-6c3e-7b1a-9f00-000000000001/questions/import";
        for length in [9 << 20, 14 << 20] {
            // Written to the socket as it is, so that the client has one copy of it.
            let mut request = format!(
                "POST {import} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: {token}\r\n\
                 Connection: close\r\nContent-Length: {length}\r\n\r\n"
            )
            .into_bytes();
            request.resize(request.len() + length, b'[');
            let heard = say(edge.address, &request).await;
            let expected = if length > 13 << 20 { 413 } else { 400 };
            assert_eq!(statuses(&heard), [expected]);
            assert!(heard.contains("application/problem+json"));
        }
    })
    .await;
    assert_eq!(edge.seen.calls::<CreateCourse>().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_as_json_and_nothing_else() {
    let edge = Edge::start().await;
    let body = br#"{"email":"a@b.co","password":"x"}"#;
    for coding in ["gzip", "GZIP", "deflate", "br", "zstd", "x", "identity, gzip", ""] {
        let answer = edge
            .send("POST", LOGIN, &[JSON, ("content-encoding", coding)], body)
            .await;
        answer.check_problem(415, "unsupported_media_type");
    }
    for kind in [
        "text/json",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "text/plain, application/json",
        "json",
        "*/*",
        "ş",
        "",
        "application/grpc",
        "application/json; charset=\"utf-7\"",
    ] {
        let answer = edge.send("POST", LOGIN, &[("content-type", kind)], body).await;
        answer.check_problem(415, "unsupported_media_type");
    }
    assert_eq!(edge.seen.calls::<Login>().len(), 0);
    let plain = [JSON, ("content-encoding", "identity")];
    assert_eq!(edge.send("POST", LOGIN, &plain, body).await.status, 200);
    let both = [JSON, ("content-type", "text/plain")];
    edge.send("POST", LOGIN, &both, body)
        .await
        .check_problem(415, "unsupported_media_type");
}
