//! The whole school on one machine: builds, migrates, starts every process, keeps it running, stops it.

mod children;
mod environment;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::process::{Known, tail};
use crate::secrets::Secrets;
use crate::servers::{self, Servers};
use crate::status::Status;
use crate::{http, pause, wait_until};
use children::Children;
use environment::{Addresses, Environment, environment};

/// Every process, in the order of their start. A new service is added here.
pub const PROCESSES: &[&str] = &[
    "auth",
    "catalog",
    "enrollment",
    "notification",
    "video-progress",
    "exam",
    "reporting",
    "gateway",
];
/// Those with a schema.
pub const SERVICES: &[&str] = &[
    "auth",
    "catalog",
    "enrollment",
    "notification",
    "video-progress",
    "exam",
    "reporting",
];
/// Those with demo data, in the order in which it builds on each other.
const SEEDED: &[&str] = &["auth", "catalog", "enrollment", "exam"];

/// The name of a process where hyphens are not allowed: its schema, its role, its settings.
pub fn identifier(process: &str) -> String {
    process.replace('-', "_")
}

/// How the stack is run.
#[derive(Debug, Clone)]
pub struct Options {
    pub root: PathBuf,
    pub release: bool,
}

impl Options {
    pub fn folder(&self) -> PathBuf {
        self.root.join(".dev")
    }

    /// The program from which every process is started, by its name.
    fn program(&self) -> PathBuf {
        self.root
            .join("target")
            .join(if self.release { "release" } else { "debug" })
            .join("sc")
    }
}

/// Runs the stack until it is told to stop. Running already, it only says so.
pub fn run(options: &Options) -> Result<()> {
    let folder = options.folder();
    let Some(_lock) = lock(&folder)? else {
        return Ok(());
    };
    let started = Instant::now();
    let step = |what: &str| println!("[{:>5.1} s] {what}", started.elapsed().as_secs_f64());
    let stop = stop_flag()?;
    stop_leftovers(&folder);
    step("starting PostgreSQL, Redis and RabbitMQ, and building beside them");
    let (built, servers) = std::thread::scope(|scope| {
        let servers = scope.spawn(|| servers::hold(&folder));
        (build(options, &stop), servers.join())
    });
    let held = servers.map_err(|_| anyhow::anyhow!("starting the servers panicked"))??;
    let outcome = built.and_then(|()| serve(options, held.servers(), &stop, &step));
    step("stopping");
    Status::remove(&folder);
    held.let_go()?;
    outcome
}

/// Held for as long as the stack runs: one that is still stopping must not be taken for servers that run. None: it runs already.
fn lock(folder: &Path) -> Result<Option<fs::File>> {
    fs::create_dir_all(folder)?;
    let file = fs::File::create(folder.join("run.lock"))?;
    let (mut locked, mut running) = (file.try_lock().is_ok(), None);
    if !locked {
        println!("another run of this checkout is starting or stopping; waiting for it");
    }
    // A first build takes minutes.
    wait_until(
        "the other run has started or stopped",
        Duration::from_mins(15),
        || {
            locked = locked || file.try_lock().is_ok();
            running = Status::running(folder);
            locked || running.is_some()
        },
    )?;
    if let Some(status) = running {
        println!("already running here\n{}", status.table(folder));
        return Ok(None);
    }
    Ok(Some(file))
}

fn serve(options: &Options, servers: &Servers, stop: &AtomicBool, step: &dyn Fn(&str)) -> Result<()> {
    let folder = options.folder();
    let names: Vec<String> = PROCESSES
        .iter()
        .flat_map(|name| [format!("{name}_password"), format!("{name}_secret")])
        .chain(["encryption_key", "webhook_encryption_key", "page_token_key"].map(str::to_owned))
        .collect();
    let secrets = Secrets::load(&folder.join("secrets.json"), &names)?;
    step("making the database, its roles and schemas");
    let database = make_database(&options.root, servers, &secrets)?;
    let addresses = Addresses::choose()?;
    let environment = |name: &str| {
        environment(
            name,
            &options.root,
            &folder,
            servers,
            &database,
            &secrets,
            &addresses,
        )
    };
    for service in SERVICES {
        command(options, service, &["migrate"], &environment(service)?)?;
    }
    step("starting the services");
    let mut children = Children::new(options.program(), folder.join("log"));
    for name in PROCESSES {
        children.start(name, environment(name)?)?;
    }
    let ready = wait_ready(&folder, &addresses, stop, &mut children);
    if let Err(fault) = ready {
        children.stop_all();
        return Err(fault);
    }
    step("demo data");
    for service in SEEDED {
        command(options, service, &["seed-demo"], &environment(service)?)?;
    }
    let supervisor = Known::of(std::process::id())?;
    let mut status = addresses.status(servers, supervisor);
    children.describe(&mut status);
    status.write(&folder)?;
    println!("{}", status.table(&folder));
    step("ready");
    while !stop.load(Ordering::SeqCst) {
        if children.restart_dead()? {
            children.describe(&mut status);
            status.write(&folder)?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    status.stopping = true;
    status.write(&folder)?;
    children.stop_all();
    Ok(())
}

/// Stops what runs in this checkout, or what a killed run left behind.
pub fn stop(folder: &Path) -> Result<()> {
    if let Some(status) = Status::read(folder) {
        status.supervisor.signal(Signal::SIGTERM);
        wait_until("the stack stops", Duration::from_secs(90), || {
            !status.supervisor.is_alive()
        })?;
    }
    stop_leftovers(folder);
    servers::down(folder)
}

fn stop_leftovers(folder: &Path) {
    if let Some(status) = Status::last(folder) {
        for service in status.services.values() {
            if let Some(process) = service.process {
                process.stop(Signal::SIGTERM, Duration::from_secs(25));
            }
        }
        Status::remove(folder);
    }
}

/// Set by SIGINT or SIGTERM. By a handler and not by blocking the signals: children would inherit that and never hear theirs.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn build(options: &Options, stop: &AtomicBool) -> Result<()> {
    let mut cargo = Command::new("cargo");
    // The whole workspace: with a part of it, features unify otherwise and dependencies are built a second time.
    cargo
        .args(["build", "--workspace", "--bins"])
        .current_dir(&options.root);
    if options.release {
        cargo.arg("--release");
    }
    let mut child = cargo.spawn().context("cargo")?;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "the build failed");
            return Ok(());
        }
        if stop.load(Ordering::SeqCst) {
            Known::of(child.id())?.signal(Signal::SIGTERM);
            child.wait()?;
            bail!("stopped while it was built");
        }
        pause();
    }
}

/// The database `sc` with roles and schemas; gives its address without user.
fn make_database(root: &Path, servers: &Servers, secrets: &Secrets) -> Result<url::Url> {
    let admin = url::Url::parse(&servers.postgres)?;
    let exists = psql(
        &admin,
        &["-Atqc", "SELECT 1 FROM pg_database WHERE datname = 'sc'"],
    )?;
    if exists.trim().is_empty() {
        psql(&admin, &["-qc", "CREATE DATABASE sc"])?;
    }
    let mut database = admin.clone();
    database.set_path("sc");
    apply_roles(root, &database, "sc_", |service| {
        secrets.get(&format!("{service}_password")).to_owned()
    })?;
    Ok(database)
}

/// Runs deploy/roles.sql.
pub fn apply_roles(
    root: &Path,
    database: &url::Url,
    prefix: &str,
    password: impl Fn(&str) -> String,
) -> Result<()> {
    let mut arguments = vec!["-q".to_owned(), "-v".into(), format!("role_prefix={prefix}")];
    for service in SERVICES {
        arguments.extend([
            "-v".to_owned(),
            format!("{}_password={}", identifier(service), password(service)),
        ]);
    }
    arguments.extend([
        "-f".to_owned(),
        root.join("deploy/roles.sql").display().to_string(),
    ]);
    psql(
        database,
        &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    Ok(())
}

fn psql(database: &url::Url, arguments: &[&str]) -> Result<String> {
    let done = Command::new("psql")
        .arg(database.as_str())
        .arg("-X")
        .args(arguments)
        .output()
        .context("psql")?;
    ensure!(
        done.status.success(),
        "psql: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn command(options: &Options, name: &str, arguments: &[&str], environment: &Environment) -> Result<()> {
    let mut command = Command::new(options.program());
    environment.give_to(&mut command);
    let done = command
        .arg(name)
        .args(arguments)
        .output()
        .context(name.to_owned())?;
    ensure!(
        done.status.success(),
        "{name} {}: {}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

fn wait_ready(
    folder: &Path,
    addresses: &Addresses,
    stop: &AtomicBool,
    children: &mut Children,
) -> Result<()> {
    for name in PROCESSES {
        let address = addresses.admin(name);
        let path = if *name == "gateway" {
            "/health/live"
        } else {
            "/health/ready"
        };
        let ready = || {
            let _ = children.restart_dead();
            stop.load(Ordering::SeqCst) || http::status(&address, path, None) == Some(200)
        };
        wait_until(&format!("{name} is ready"), Duration::from_mins(1), ready)
            .with_context(|| tail(&folder.join("log").join(format!("{name}.log"))))?;
    }
    let gateway = addresses.gateway_address();
    wait_until("the gateway is ready", Duration::from_secs(30), || {
        stop.load(Ordering::SeqCst) || http::status(&gateway, "/health/ready", None) == Some(200)
    })
    .with_context(|| tail(&folder.join("log/gateway.log")))
}

/// Removes all data.
pub fn reset(folder: &Path) -> Result<()> {
    stop(folder)?;
    servers::PrivatePostgres::remove_data(&folder.join("postgres"));
    for part in ["redis", "rabbitmq", "mail", "objects", "log", "secrets.json"] {
        let path = folder.join(part);
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
    Ok(())
}
