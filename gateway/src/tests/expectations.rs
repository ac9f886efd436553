//! `Expect: 100-continue` (RFC 9110, section 10.1.1): two parties that disagree on whether a body follows can be set apart by it.

use contracts::auth::v1::rpc::Login;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::backend::PATIENCE;
use super::edge::Edge;
use super::raw::{QUICK, say, statuses, under};

const BODY: &str = r#"{"email":"a@b.co","password":"x"}"#;
const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

fn login(lines: &str, length: usize) -> String {
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{lines}\r\n"
    )
}

/// What comes until the first head is whole.
async fn first_head(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap();
        heard.push(byte);
    }
    String::from_utf8(heard).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_first_is_told_to_go_on_and_then_answered() {
    let edge = Edge::start_with(QUICK).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let head = login("Expect: 100-continue\r\n", BODY.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(statuses(&first_head(&mut stream).await), [100]);
    stream.write_all(BODY.as_bytes()).await.unwrap();
    assert_eq!(statuses(&first_head(&mut stream).await), [200]);
    assert_eq!(edge.seen.calls::<Login>().len(), 1);
}

/// Nobody is asked for a body that is refused beforehand, and none is waited for longer than any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_by_its_head_is_refused_without_a_body() {
    let edge = Edge::start_with(QUICK).await;
    under(&edge, async {
        for (head, status) in [
            (login("Expect: 100-continue\r\n", 100 << 20), 413),
            (
                login("Expect: 100-continue\r\n", 5).replace("auth/login", "courses"),
                401,
            ),
            (
                login("Expect: 100-continue\r\n", 5).replace("auth/login", "nowhere"),
                404,
            ),
            (
                login("Expect: 100-continue\r\n", 5).replace("Host: x", "Host: x, y"),
                400,
            ),
        ] {
            let heard = say(edge.address, head.as_bytes()).await;
            assert_eq!(statuses(&heard), [status], "{head}\n{heard}");
        }
        // This one is asked for, and never comes.
        let heard = say(edge.address, login("Expect: 100-continue\r\n", 5).as_bytes()).await;
        assert_eq!(statuses(&heard), [100, 400], "{heard}");
    })
    .await;
    assert_eq!(edge.seen.calls::<Login>().len(), 0);
}

/// However the expectation is spelt, what follows the head is its body and no request.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_behind_an_expectation_is_not_answered() {
    let edge = Edge::start_with(QUICK).await;
    let spellings = [
        "Expect: 100-continue\r\n",
        "Expect: 100-Continue\r\n",
        "expect:100-continue\r\n",
        "Expect: 100-continue, 100-continue\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
        "Expect: y 100-continue\r\n",
        "Expect: 200-ok\r\n",
        "Expect: \t100-continue\t\r\n",
        "Expect: 100-continue;q=1\r\n",
        "Expect:\r\n",
        "Expect: 100-continue\r\nConnection: Expect\r\n",
    ];
    let mut cases: Vec<String> = spellings
        .iter()
        .map(|lines| login(lines, HIDDEN.len()) + HIDDEN)
        .collect();
    // In a request without a body, and in HTTP/1.0, it says nothing.
    cases.push(
        "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n".into(),
    );
    cases
        .push((login("Expect: 100-continue\r\n", HIDDEN.len()) + HIDDEN).replacen("HTTP/1.1", "HTTP/1.0", 1));
    let heard = under(&edge, async {
        let mut heard = Vec::new();
        for case in &cases {
            heard.push(say(edge.address, case.as_bytes()).await);
        }
        heard
    })
    .await;
    for (case, heard) in cases.iter().zip(&heard) {
        let found: Vec<u16> = statuses(heard)
            .into_iter()
            .filter(|status| *status != 100)
            .collect();
        let expected: &[u16] = if case.starts_with("GET") {
            &[200]
        } else {
            &[400, 417, 422]
        };
        assert!(
            found.len() == 1 && expected.contains(&found[0]),
            "{found:?} to {case}"
        );
    }
    assert_eq!(edge.seen.calls::<Login>().len(), 0);
}
