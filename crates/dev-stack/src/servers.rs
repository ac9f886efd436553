//! The three servers: those of the environment, or private ones under a folder.

mod postgres;
mod rabbitmq;
mod redis;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::process::Known;

pub use postgres::PrivatePostgres;
pub use rabbitmq::PrivateRabbit;
pub use redis::PrivateRedis;

/// Where the servers are. The URLs are those of administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Servers {
    pub postgres: String,
    pub redis: String,
    pub amqp: String,
    pub amqp_management: String,
    /// Processes of private servers.
    #[serde(default)]
    pub processes: Vec<(String, Known)>,
    /// They go with the last who holds them.
    #[serde(default)]
    are_borrowed: bool,
}

/// Somebody uses the servers. Commands of one checkout share them, and each may end first.
pub struct Held {
    servers: Servers,
    folder: PathBuf,
    /// Locked together with others, or alone by who stops them.
    users: File,
}

const FILE: &str = "servers.json";

/// The project's root: the nearest folder above with `.cargo` and `Cargo.lock`.
pub fn root() -> Result<PathBuf> {
    let start = env::var("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|_| env::current_dir())?;
    let found = start
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file());
    found.map(Path::to_path_buf).context("not inside the project")
}

/// The servers of the environment, or of a stack that runs in this checkout.
pub fn discover() -> Result<Servers> {
    if let (Some(postgres), Some(redis), Some(amqp)) =
        (given("DATABASE_URL"), given("REDIS_URL"), given("AMQP_URL"))
    {
        let amqp_management = given("AMQP_MANAGEMENT_URL").unwrap_or_default();
        return Ok(Servers {
            postgres,
            redis,
            amqp,
            amqp_management,
            processes: Vec::new(),
            are_borrowed: false,
        });
    }
    match running(&root()?.join(".dev")) {
        Some(servers) => Ok(servers),
        None => bail!("no servers: run `make test`, or `sc-dev servers up` before"),
    }
}

/// The servers that run under `folder`, if all do that the environment does not give. What it gives wins.
pub fn running(folder: &Path) -> Option<Servers> {
    let mut servers: Servers = serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()?;
    let lives = |name: &str| {
        let mut named = servers.processes.iter().filter(|(of, _)| of == name);
        named.any(|(_, process)| process.is_alive())
    };
    let (postgres, redis, amqp) = (given("DATABASE_URL"), given("REDIS_URL"), given("AMQP_URL"));
    let complete = (postgres.is_some() || lives("postgres"))
        && (redis.is_some() || lives("redis"))
        && (amqp.is_some() || lives("rabbitmq"));
    if !complete {
        return None;
    }
    servers.postgres = postgres.unwrap_or(servers.postgres);
    servers.redis = redis.unwrap_or(servers.redis);
    if let Some(amqp) = amqp {
        servers.amqp = amqp;
        servers.amqp_management = given("AMQP_MANAGEMENT_URL").unwrap_or_default();
    }
    Some(servers)
}

fn given(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The servers, started where they do not run. They run until [`Held::let_go`] of the last who holds them.
pub fn hold(folder: &Path) -> Result<Held> {
    fs::create_dir_all(folder)?;
    let users = File::create(folder.join("servers.users.lock"))?;
    users.lock_shared()?;
    let servers = one_at_a_time(folder, || match running(folder) {
        Some(servers) => Ok(servers),
        None => start(folder, true),
    })?;
    let folder = folder.to_owned();
    Ok(Held {
        servers,
        folder,
        users,
    })
}

impl Held {
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Stops them unless somebody else holds them, or they were started to stay.
    pub fn let_go(self) -> Result<()> {
        let is_last = self.users.try_lock().is_ok();
        let stay = running(&self.folder).is_some_and(|servers| !servers.are_borrowed);
        if is_last && !stay {
            down(&self.folder)?;
        }
        Ok(())
    }
}

/// Starts what neither runs nor is given by the environment, to stay.
pub fn up(folder: &Path) -> Result<Servers> {
    fs::create_dir_all(folder)?;
    one_at_a_time(folder, || match running(folder) {
        Some(mut servers) => {
            servers.are_borrowed = false;
            write(folder, &servers)?;
            Ok(servers)
        }
        None => start(folder, false),
    })
}

fn one_at_a_time<T>(folder: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let lock = File::create(folder.join("servers.start.lock"))?;
    lock.lock()?;
    work()
}

fn write(folder: &Path, servers: &Servers) -> Result<()> {
    Ok(fs::write(folder.join(FILE), serde_json::to_vec_pretty(servers)?)?)
}

/// The slowest begins first.
fn start(folder: &Path, are_borrowed: bool) -> Result<Servers> {
    down(folder)?;
    // Absolute: the servers' folders are compared with what /proc says.
    let folder = &folder.canonicalize()?;
    let mut processes = Vec::new();
    let rabbit = match given("AMQP_URL") {
        Some(_) => None,
        None => Some(PrivateRabbit::begin(&folder.join("rabbitmq"))?),
    };
    let postgres = if let Some(url) = given("DATABASE_URL") {
        url
    } else {
        let server = PrivatePostgres::start(&folder.join("postgres"))?;
        processes.push(("postgres".to_owned(), server.process));
        server.url()
    };
    let redis = if let Some(url) = given("REDIS_URL") {
        url
    } else {
        let server = PrivateRedis::start(&folder.join("redis"))?;
        processes.push(("redis".to_owned(), server.process));
        server.url()
    };
    let (amqp, amqp_management) = match rabbit {
        None => (
            given("AMQP_URL").unwrap_or_default(),
            given("AMQP_MANAGEMENT_URL").unwrap_or_default(),
        ),
        Some(server) => {
            server.wait()?;
            processes.push(("rabbitmq".to_owned(), server.process));
            (server.url(), server.management_url())
        }
    };
    let servers = Servers {
        postgres,
        redis,
        amqp,
        amqp_management,
        processes,
        are_borrowed,
    };
    write(folder, &servers)?;
    Ok(servers)
}

/// Stops the private servers under `folder`, also those that a killed command left behind.
pub fn down(folder: &Path) -> Result<()> {
    let folder = &folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    PrivateRabbit::stop_leftover(&folder.join("rabbitmq"));
    PrivateRedis::stop_leftover(&folder.join("redis"));
    PrivatePostgres::stop_leftover(&folder.join("postgres"));
    let _ = fs::remove_file(folder.join(FILE));
    Ok(())
}

/// A server's own record: which process and port it has.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Record {
    pub process: Known,
    pub port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_port: Option<u16>,
}

impl Record {
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join("process.json")).ok()?).ok()
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        Ok(fs::write(folder.join("process.json"), serde_json::to_vec(self)?)?)
    }
}
