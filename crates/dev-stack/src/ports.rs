//! Free ports below 32768: those above are handed out to outgoing connections.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

/// Processes that look at the same time begin at different places.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on at this moment; `preferred` when it is free.
pub fn free(preferred: Option<u16>) -> Result<u16> {
    if let Some(port) = preferred.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let start = u16::try_from(std::process::id() % 8_000).unwrap_or(0);
    (0..12_000_u32)
        .map(|_| 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed) % 4_000) % 12_000)
        .find(|port| is_free(*port))
        .context("no free port")
}

pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
