//! The two requests that the stack makes: is it ready, and does the broker listen.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The status of `GET path`; `None` when there is no answer.
pub fn status(address: &str, path: &str, basic: Option<&str>) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
    let authorization = basic
        .map(|basic| format!("Authorization: Basic {basic}\r\n"))
        .unwrap_or_default();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    // What follows the status line does not matter, so that a cut body does not either.
    let _ = stream.read_to_string(&mut answer);
    answer.split_whitespace().nth(1)?.parse().ok()
}
