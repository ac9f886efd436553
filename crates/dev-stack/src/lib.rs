//! `make run`: private PostgreSQL, Redis and RabbitMQ, every service as its own process, demo data, a table of URLs.
#![expect(
    clippy::disallowed_methods,
    reason = "a command-line tool: it reads the environment and waits on threads"
)]
#![expect(clippy::print_stdout, reason = "a command-line tool")]

pub mod http;
pub mod ports;
pub mod process;
pub mod secrets;
pub mod servers;
pub mod stack;
pub mod status;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks until it is so, or says what did not come about.
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > limit {
            bail!("{what}: not so after {} s", limit.as_secs());
        }
        pause();
    }
    Ok(())
}

/// The time between two looks at something.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
