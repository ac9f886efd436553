use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::Record;
use crate::process::{Known, start_detached, tail};
use crate::{ports, wait_until};

/// A Redis server of our own; it keeps nothing on disk.
#[derive(Debug, Clone)]
pub struct PrivateRedis {
    pub process: Known,
    port: u16,
}

impl PrivateRedis {
    pub fn start(folder: &Path) -> Result<Self> {
        Self::stop_leftover(folder);
        let port = ports::free(Record::read(folder).map(|record| record.port))?;
        Self::start_on(folder, port)
    }

    /// Starts it on a port, as after a crash.
    pub fn start_on(folder: &Path, port: u16) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log = folder.join("log");
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        // Revocations are mirrored here: evicting them silently would be worse than refusing a write.
        command
            .args(["--maxmemory", "512mb", "--maxmemory-policy", "noeviction"])
            .current_dir(folder);
        let child = start_detached(&mut command, &log)?;
        let process = Known::of(child.id())?;
        let server = Self { process, port };
        let record = Record {
            process,
            port,
            management_port: None,
        };
        record.write(folder)?;
        wait_until("Redis answers", Duration::from_secs(10), || server.answers())
            .with_context(|| tail(&log))?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    fn answers(&self) -> bool {
        let asked = || -> Option<[u8; 5]> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            stream.write_all(b"PING\r\n").ok()?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).ok()?;
            Some(answer)
        };
        asked().is_some_and(|answer| &answer == b"+PONG")
    }

    pub fn stop(&self) {
        self.process.signal(Signal::SIGCONT);
        self.process.stop(Signal::SIGTERM, Duration::from_secs(5));
    }

    pub fn kill9(&self) {
        self.process.stop(Signal::SIGKILL, Duration::from_secs(5));
    }

    /// Stops it in the middle of whatever it does; its sockets stay open.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    pub(super) fn stop_leftover(folder: &Path) {
        if let Some(Record { process, port, .. }) = Record::read(folder) {
            Self { process, port }.stop();
        }
    }
}
