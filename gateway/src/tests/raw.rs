//! Clients that write to the socket themselves.

use std::net::SocketAddr;
use std::pin::pin;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::backend::PATIENCE;
use super::edge::{Edge, Options};

/// What a process may grow by while it is attacked, the attacker in the same process included.
const GROWTH: usize = 64 << 20;

/// Short times, so that what has to end ends within a test.
pub const QUICK: Options = Options {
    settings: &[
        ("SC_HTTP__HEADER_TIMEOUT_SECONDS", "3"),
        ("SC_HTTP__BODY_TIMEOUT_SECONDS", "2"),
        ("SC_HTTP__WRITE_TIMEOUT_SECONDS", "2"),
    ],
    away: &[],
    redis: None,
};

/// Everything that comes back until the connection ends, which it has to.
pub async fn say(address: SocketAddr, request: &[u8]) -> String {
    let (mut reads, mut writes) = TcpStream::connect(address).await.unwrap().into_split();
    let mut heard = Vec::new();
    let talk = async {
        // A server that has heard enough closes while we still write.
        tokio::join!(writes.write_all(request), reads.read_to_end(&mut heard))
    };
    let ended = timeout(PATIENCE, talk).await;
    let request = String::from_utf8_lossy(&request[..request.len().min(200)]);
    assert!(ended.is_ok(), "the connection stays open after {request:?}");
    String::from_utf8_lossy(&heard).into_owned()
}

/// A connection that takes little of what is sent to it.
pub async fn deaf(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(address).await.unwrap()
}

/// The statuses of all answers in what came back.
pub fn statuses(heard: &str) -> Vec<u16> {
    heard
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| heard.get(at + 9..at + 12)?.parse().ok())
        .collect()
}

/// The head of the first answer, in lower case.
pub fn head(heard: &str) -> String {
    heard
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// Runs an attack: another client is served all the while, and the process stays small.
pub async fn under<T>(edge: &Edge, attack: impl Future<Output = T>) -> T {
    let before = resident();
    let mut most = before;
    let mut attack = pin!(attack);
    let outcome = loop {
        let other = edge.get("/api/v1/courses", &[]);
        tokio::select! {
            outcome = &mut attack => break outcome,
            answer = other => assert_eq!(answer.status, 200, "another client"),
        }
        most = most.max(resident());
    };
    assert_eq!(edge.get("/api/v1/courses", &[]).await.status, 200);
    most = most.max(resident());
    let growth = most.saturating_sub(before);
    assert!(growth < GROWTH, "the process grew by {} MiB", growth >> 20);
    outcome
}

/// Memory of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
