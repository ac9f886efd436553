use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use super::Record;
use crate::process::{self, Known, start_detached, tail};
use crate::{ports, wait_until};

/// A PostgreSQL server of our own. It refuses root, so that as root it runs as an unprivileged user.
#[derive(Debug, Clone)]
pub struct PrivatePostgres {
    pub process: Known,
    port: u16,
    data: PathBuf,
}

const SETTINGS: &str = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n\
    shared_buffers = 256MB\nwal_level = logical\nmax_wal_senders = 8\nmax_wal_size = 4GB\nlog_min_messages = warning\n";

impl PrivatePostgres {
    /// Starts it in `folder`, making its data there when there are none.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::stop_leftover(folder);
        fs::create_dir_all(folder)?;
        let bin = bin()?;
        let data = data_folder(folder)?;
        if !data.join("PG_VERSION").exists() {
            let initdb = run_as(&bin.join("initdb"))
                .arg("-D")
                .arg(&data)
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
                .output()?;
            ensure!(
                initdb.status.success(),
                "initdb: {}",
                String::from_utf8_lossy(&initdb.stderr)
            );
            let settings = fs::read_to_string(data.join("postgresql.conf"))? + SETTINGS;
            fs::write(data.join("postgresql.conf"), settings)?;
        }
        Self::launch(folder, &bin, data)
    }

    /// A read-only copy of this server, which follows it.
    pub fn start_replica(&self, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let bin = bin()?;
        let data = data_folder(folder)?;
        let copy = run_as(&bin.join("pg_basebackup"))
            .args(["-d", &self.url(), "-R", "-X", "stream", "-c", "fast", "-D"])
            .arg(&data)
            .output()?;
        ensure!(
            copy.status.success(),
            "pg_basebackup: {}",
            String::from_utf8_lossy(&copy.stderr)
        );
        // PostgreSQL wants its folder to itself; initdb sees to that, a copy into a folder that is there does not.
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        Self::launch(folder, &bin, data)
    }

    fn launch(folder: &Path, bin: &Path, data: PathBuf) -> Result<Self> {
        let log = folder.join("log");
        // A killed server's workers may still write; only without them is its file stale. It keeps the next from starting.
        process::kill_all(&processes(&data));
        let _ = fs::remove_file(data.join("postmaster.pid"));
        let port = ports::free(Record::read(folder).map(|record| record.port))?;
        let mut command = run_as(&bin.join("postgres"));
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        let child = start_detached(&mut command, &log)?;
        let process = Known::of(child.id())?;
        let server = Self { process, port, data };
        let record = Record {
            process,
            port,
            management_port: None,
        };
        record.write(folder)?;
        wait_until("PostgreSQL answers", Duration::from_secs(30), || {
            server.answers(bin)
        })
        .with_context(|| tail(&log))?;
        Ok(server)
    }

    /// As superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// By asking for a query, and not only whether somebody listens.
    fn answers(&self, bin: &Path) -> bool {
        let psql = Command::new(psql(bin))
            .args([&self.url(), "-Atqc", "SELECT 1"])
            .output();
        psql.is_ok_and(|done| done.status.success())
    }

    pub fn stop(&self) {
        self.thaw();
        // A fast shutdown: it does not wait for clients.
        self.process.stop(Signal::SIGINT, Duration::from_secs(20));
    }

    pub fn kill9(&self) {
        process::kill_all(&processes(&self.data));
    }

    /// Stops it and its workers in the middle of whatever they do; their sockets stay open.
    pub fn freeze(&self) {
        for process in processes(&self.data) {
            process.signal(Signal::SIGSTOP);
        }
    }

    pub fn thaw(&self) {
        thaw(&self.data);
    }

    pub(super) fn stop_leftover(folder: &Path) {
        let folders = [folder.join("data"), fallback(folder)];
        folders.iter().for_each(|data| thaw(data));
        if let Some(record) = Record::read(folder) {
            record.process.stop(Signal::SIGINT, Duration::from_secs(20));
        }
        for data in &folders {
            process::kill_all(&processes(data));
        }
    }

    /// Removes its data, also those that are not under the folder.
    pub fn remove_data(folder: &Path) {
        let _ = fs::remove_dir_all(fallback(folder));
        let _ = fs::remove_dir_all(folder);
    }
}

fn thaw(data: &Path) {
    for process in processes(data) {
        process.signal(Signal::SIGCONT);
    }
}

/// The server and its workers: each works in the data folder.
fn processes(data: &Path) -> Vec<Known> {
    let Ok(data) = data.canonicalize() else {
        return Vec::new();
    };
    process::find(|pid| {
        let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
        works_there
            && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres")
    })
}

/// The newest server binaries there are.
pub(crate) fn bin() -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .filter_map(|entry| entry.ok().map(|e| e.path().join("bin")))
                .collect()
        })
        .unwrap_or_default();
    versions.retain(|bin| bin.join("postgres").exists());
    versions.sort();
    if let Some(newest) = versions.pop() {
        return Ok(newest);
    }
    let found = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).find(|p| p.join("postgres").exists()));
    found.context("PostgreSQL's server is not installed")
}

pub(crate) fn psql(bin: &Path) -> PathBuf {
    let beside = bin.join("psql");
    if beside.exists() { beside } else { "psql".into() }
}

/// A command as an unprivileged user when we are root.
fn run_as(program: &Path) -> Command {
    let mut command = process::behind("5");
    if !Uid::effective().is_root() {
        command.arg(program);
        return command;
    }
    let user = unprivileged();
    command
        .arg("setpriv")
        .args([
            &format!("--reuid={user}"),
            &format!("--regid={user}"),
            "--init-groups",
            "--",
        ])
        .arg(program);
    command.current_dir("/");
    command
}

fn unprivileged() -> &'static str {
    if User::from_name("postgres").is_ok_and(|user| user.is_some()) {
        "postgres"
    } else {
        "nobody"
    }
}

/// Where the data go: beside the record, or, when that user cannot reach it (a checkout under a private home), under /var/tmp.
fn data_folder(folder: &Path) -> Result<PathBuf> {
    let own = folder.join("data");
    if !Uid::effective().is_root() {
        return Ok(own);
    }
    let user = User::from_name(unprivileged())?.context("no unprivileged user")?;
    for candidate in [own, fallback(folder)] {
        fs::create_dir_all(&candidate)?;
        std::os::unix::fs::chown(&candidate, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        let reaches = run_as(Path::new("/usr/bin/test"))
            .args(["-w"])
            .arg(&candidate)
            .status()?;
        if reaches.success() {
            return Ok(candidate);
        }
        let _ = fs::remove_dir(&candidate);
    }
    anyhow::bail!(
        "no folder for PostgreSQL's data that user {} can reach",
        user.name
    )
}

fn fallback(folder: &Path) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    PathBuf::from(format!("/var/tmp/sc-postgres-{:016x}", hasher.finish()))
}
