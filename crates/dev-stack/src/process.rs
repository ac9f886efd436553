//! Processes that outlive a command, told apart from strangers by their start time.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::wait_until;

/// A process of ours. After a reboot its number may be somebody else's; its start time is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub pid: i32,
    /// Clock ticks since boot, from /proc.
    started: u64,
}

impl Known {
    pub fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid)?;
        let (_, started) = state_of(pid).with_context(|| format!("process {pid} is gone"))?;
        Ok(Self { pid, started })
    }

    /// Lives, and is no zombie that only waits to be reaped.
    pub fn is_alive(&self) -> bool {
        state_of(self.pid)
            .is_some_and(|(state, started)| started == self.started && state != 'Z' && state != 'X')
    }

    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks it to end, and makes it after `patience`.
    pub fn stop(&self, signal: Signal, patience: Duration) {
        self.signal(signal);
        if wait_until("stop", patience, || !self.is_alive()).is_err() {
            self.signal(Signal::SIGKILL);
            let _ = wait_until("stop", Duration::from_secs(5), || !self.is_alive());
        }
    }
}

/// Every process that `is_ours` picks by its number. It finds those whose first process was killed, too.
pub fn find(is_ours: impl Fn(i32) -> bool) -> Vec<Known> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| is_ours(*pid))
        .filter_map(|pid| Known::of(pid.unsigned_abs()).ok())
        .filter(Known::is_alive)
        .collect()
}

/// Kills them all and waits until they are gone.
pub fn kill_all(processes: &[Known]) {
    for process in processes {
        process.signal(Signal::SIGKILL);
    }
    for process in processes {
        process.stop(Signal::SIGKILL, Duration::from_secs(5));
    }
}

/// State and start time from /proc/PID/stat. The name before them may hold spaces and parentheses.
fn state_of(pid: i32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// A command, to be given a program, that waits for a processor behind those of a lower niceness.
pub fn behind(niceness: &str) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", niceness]);
    command
}

/// Starts a command that goes on by itself: its own process group, no input, output appended to a file.
pub fn start_detached(command: &mut Command, log: &Path) -> Result<std::process::Child> {
    let log = open_log(log)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

pub fn open_log(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The last lines of a log, for an error that points at them.
pub fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(12);
    format!("last lines of {}:\n{}", path.display(), lines[from..].join("\n"))
}
