//! The real stack for one test: a database, a vhost and a key prefix of its own, and every process started from the product's program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dev_stack::process::Known;
use dev_stack::servers::{self, Servers};
use dev_stack::stack::{SERVICES, apply_roles, identifier};
use dev_stack::status::{Service, Status};
use dev_stack::{http, ports};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use test_support::{Certificate, TestAuthority};
use tokio::time::Instant;

use crate::api::Api;
use crate::mailbox::Mailbox;

/// Local part of the address that becomes the first admin.
pub const ADMIN: &str = "first-admin";
const ENCRYPTION_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// What every process shows to auth.
pub const SECRET: &str = "the secret of this test";
const PATIENCE: Duration = Duration::from_mins(1);

/// A process of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    Auth,
    Catalog,
    Enrollment,
    Notification,
    VideoProgress,
    Exam,
    Reporting,
    Gateway,
}

impl Process {
    pub const ALL: [Self; 8] = [
        Self::Auth,
        Self::Catalog,
        Self::Enrollment,
        Self::Notification,
        Self::VideoProgress,
        Self::Exam,
        Self::Reporting,
        Self::Gateway,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Catalog => "catalog",
            Self::Enrollment => "enrollment",
            Self::Notification => "notification",
            Self::VideoProgress => "video-progress",
            Self::Exam => "exam",
            Self::Reporting => "reporting",
            Self::Gateway => "gateway",
        }
    }
}

/// What differs from the defaults.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Environment of every process.
    pub environment: Vec<(String, String)>,
    /// Use this Redis instead of the common one, as the test stops it.
    pub redis: Option<String>,
    /// Reach the broker there, as the test cuts the way to it.
    pub amqp: Option<String>,
    /// The processes talk over mutual TLS, with certificates of this test.
    pub tls: bool,
    /// Serve through a pooler that listens on this port; migrations go past it.
    pub pooler: Option<u16>,
}

/// The certificates of the processes.
struct Tls {
    authority: TestAuthority,
    certificates: BTreeMap<&'static str, Certificate>,
}

impl Tls {
    fn new() -> Self {
        let authority = TestAuthority::new();
        let issue = |process: Process| {
            let name = process.name();
            (name, authority.issue(&["127.0.0.1", name]))
        };
        let certificates = Process::ALL.map(issue).into();
        Self {
            authority,
            certificates,
        }
    }
}

/// A running stack. Dropping it kills the processes.
pub struct Stack {
    folder: TempDir,
    servers: Servers,
    database: String,
    prefix: String,
    vhost: String,
    options: StackOptions,
    tls: Option<Tls>,
    grpc: BTreeMap<&'static str, u16>,
    admin: BTreeMap<&'static str, u16>,
    http: u16,
    processes: BTreeMap<Process, Child>,
}

impl Stack {
    pub async fn start() -> Self {
        Self::start_with(StackOptions::default()).await
    }

    pub async fn start_with(options: StackOptions) -> Self {
        let servers = servers::discover().unwrap();
        let tag = format!("{:012x}", rand::random::<u64>() >> 16);
        let (database, prefix) = (format!("sc_journey_{tag}"), format!("j{tag}_"));
        let mut admin = PgConnection::connect(&servers.postgres).await.unwrap();
        execute(&mut admin, format!("CREATE DATABASE {database}")).await;
        let mut url = url::Url::parse(&servers.postgres).unwrap();
        url.set_path(&database);
        apply_roles(&root(), &url, &prefix, |_| SECRET.to_owned()).unwrap();
        let vhost = format!("journey-{tag}");
        create_vhost(&servers, &vhost).await;
        let choose = |names: &[&'static str]| {
            names
                .iter()
                .map(|name| (*name, ports::free(None).unwrap()))
                .collect()
        };
        let mut stack = Self {
            folder: tempfile::tempdir().unwrap(),
            grpc: choose(SERVICES),
            admin: choose(&Process::ALL.map(Process::name)),
            http: ports::free(None).unwrap(),
            servers,
            database,
            prefix,
            vhost,
            tls: options.tls.then(Tls::new),
            options,
            processes: BTreeMap::new(),
        };
        let migrate = |service: &&'static str| {
            let mut command = stack.command(service);
            command
                .arg("migrate")
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            (*service, command.spawn().unwrap())
        };
        for (service, running) in SERVICES.iter().map(migrate).collect::<Vec<_>>() {
            let done = running.wait_with_output().unwrap();
            assert!(
                done.status.success(),
                "{service} migrate: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        for process in Process::ALL {
            stack.spawn(process);
        }
        for process in Process::ALL {
            stack.wait_ready(process).await;
        }
        stack
    }

    pub fn api(&self) -> Api {
        Api::new(&format!("http://127.0.0.1:{}", self.http))
    }

    pub fn gateway_address(&self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    /// Where a service listens for the other processes.
    pub fn grpc_address(&self, service: &str) -> String {
        format!("127.0.0.1:{}", self.grpc[service])
    }

    /// The authority of the processes, when they talk over mutual TLS.
    pub fn authority(&self) -> Option<&TestAuthority> {
        self.tls.as_ref().map(|tls| &tls.authority)
    }

    /// Runs a command of a process, which has to succeed; gives what it prints.
    pub fn run(&self, process: Process, arguments: &[&str]) -> String {
        let done = self.command(process.name()).args(arguments).output().unwrap();
        let [said, complained] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(
            done.status.success(),
            "{} {arguments:?}: {complained}",
            process.name()
        );
        said
    }

    /// The servers that all tests share.
    pub fn servers() -> Servers {
        servers::discover().unwrap()
    }

    /// Writes `status.json` as `make run` does, for tools that look for a running stack; the folder that it is in.
    pub fn describe(&self) -> &Path {
        let services = Process::ALL.map(|process| {
            let name = process.name();
            let service = Service {
                grpc: String::new(),
                admin: format!("http://127.0.0.1:{}", self.admin[name]),
                pid: i32::try_from(self.processes[&process].id()).unwrap(),
                process: None,
            };
            (name.to_owned(), service)
        });
        let status = Status {
            gateway: format!("http://{}", self.gateway_address()),
            services: services.into(),
            postgres: self.servers.postgres.clone(),
            redis: self.servers.redis.clone(),
            amqp: self.servers.amqp.clone(),
            amqp_management: self.servers.amqp_management.clone(),
            supervisor: Known::of(std::process::id()).unwrap(),
            stopping: false,
        };
        status.write(self.folder.path()).unwrap();
        self.folder.path()
    }

    /// The program of that name, from the profile of this test.
    pub fn program(name: &str) -> PathBuf {
        root().join("target").join(profile()).join(name)
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.folder.path().join("mail"))
    }

    /// A connection as superuser, to look at what is stored.
    pub async fn superuser(&self) -> PgConnection {
        let mut url = url::Url::parse(&self.servers.postgres).unwrap();
        url.set_path(&self.database);
        PgConnection::connect(url.as_str()).await.unwrap()
    }

    /// The URL that a service connects with.
    pub fn database_url(&self, service: &str) -> String {
        let mut url = url::Url::parse(&self.servers.postgres).unwrap();
        url.set_path(&self.database);
        url.set_username(&format!("{}{}", self.prefix, identifier(service)))
            .unwrap();
        url.set_password(Some(SECRET)).unwrap();
        url.into()
    }

    /// Starts a process; see [`Stack::wait_ready`].
    pub fn spawn(&mut self, process: Process) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log(process))
            .unwrap();
        let mut command = self.command(process.name());
        if let (Some(port), true) = (self.options.pooler, self.grpc.contains_key(process.name())) {
            let mut url = url::Url::parse(&self.database_url(process.name())).unwrap();
            url.set_port(Some(port)).unwrap();
            command.env("SC_DATABASE__URL", url.as_str());
        }
        command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.processes.insert(process, command.spawn().unwrap());
    }

    pub async fn wait_ready(&self, process: Process) {
        let address = match process {
            Process::Gateway => self.gateway_address(),
            other => format!("127.0.0.1:{}", self.admin[other.name()]),
        };
        let path = "/health/ready";
        let started = Instant::now();
        while http::status(&address, path, None) != Some(200) {
            assert!(
                started.elapsed() < PATIENCE,
                "{} is not ready: {}",
                process.name(),
                self.tail(process)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills a process in the middle of whatever it does.
    pub fn kill(&mut self, process: Process) {
        let mut child = self.processes.remove(&process).unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }

    /// Asks until there is an answer.
    #[track_caller]
    pub fn eventually<T, F, Fut>(&self, ask: F) -> impl Future<Output = T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Option<T>>,
    {
        let asker = std::panic::Location::caller();
        async move {
            let started = Instant::now();
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                assert!(
                    started.elapsed() < PATIENCE,
                    "not within {} s: {asker}",
                    PATIENCE.as_secs()
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn log(&self, process: Process) -> PathBuf {
        self.folder.path().join(format!("{}.log", process.name()))
    }

    pub fn tail(&self, process: Process) -> String {
        dev_stack::process::tail(&self.log(process))
    }

    fn command(&self, name: &'static str) -> Command {
        let mut command = Command::new(Self::program("sc"));
        let address = |port: u16| format!("127.0.0.1:{port}");
        command
            .arg(name)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SC_ENV", "test")
            .env("SC_ADMIN__LISTEN", address(self.admin[name]))
            .env(
                "SC_REDIS__URL",
                self.options.redis.as_ref().unwrap_or(&self.servers.redis),
            )
            .env("SC_REDIS__PREFIX", &self.prefix)
            .env(
                "SC_AMQP__URL",
                format!(
                    "{}/{}",
                    self.options
                        .amqp
                        .as_ref()
                        .unwrap_or(&self.servers.amqp)
                        .trim_end_matches("/%2f")
                        .trim_end_matches('/'),
                    self.vhost
                ),
            )
            .env("SC_SERVICE_SECRET", SECRET)
            .env("SC_PUBLIC_URL", format!("http://{}", self.gateway_address()))
            .env("SC_LOG__FORMAT", "json");
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        for service in SERVICES {
            let url = format!("{scheme}://{}", address(self.grpc[service]));
            command.env(
                format!("SC_SERVICES__{}", identifier(service).to_uppercase()),
                url,
            );
        }
        if let Some(files) = self.tls.as_ref().map(|tls| &tls.certificates[name]) {
            command
                .env("SC_GRPC__TLS_CERT", &files.cert)
                .env("SC_GRPC__TLS_KEY", &files.key)
                .env("SC_GRPC__TLS_CA", &files.ca);
        }
        if let Some(port) = self.grpc.get(name) {
            command
                .env("SC_GRPC__LISTEN", address(*port))
                .env("SC_DATABASE__URL", self.database_url(name));
        }
        match name {
            "gateway" => {
                command
                    .env("SC_HTTP__LISTEN", address(self.http))
                    .env("RATELIMIT_ENABLED", "false");
            }
            "auth" => {
                command.env("SC_KEYS__ENCRYPTION_KEY", ENCRYPTION_KEY);
                // Long runs outlast a quarter of an hour.
                command.env("SC_ACCESS__TTL_SECONDS", "3600");
                command.env("SC_BOOTSTRAP_ADMIN_EMAIL", format!("{ADMIN}@journey.test"));
                for other in [
                    "GATEWAY",
                    "CATALOG",
                    "ENROLLMENT",
                    "NOTIFICATION",
                    "VIDEO_PROGRESS",
                    "EXAM",
                    "REPORTING",
                ] {
                    command.env(format!("SC_SERVICE_SECRETS__{other}"), SECRET);
                }
            }
            "notification" => {
                command.env("SC_KEYS__ENCRYPTION_KEY", ENCRYPTION_KEY);
                command.env("SC_MAIL__DIRECTORY", self.folder.path().join("mail"));
                // Journeys count mails of one user by the dozen.
                command.env("SC_MAIL__HOURLY_CAP", "1000");
            }
            "reporting" => {
                command.env("SC_STORAGE__LOCATION", self.folder.path().join("objects"));
            }
            _ => {}
        }
        command.envs(self.options.environment.iter().cloned());
        command
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for process in Process::ALL {
                println!("{}", self.tail(process));
            }
        }
        let (servers, database, prefix, vhost) = (
            self.servers.clone(),
            self.database.clone(),
            self.prefix.clone(),
            self.vhost.clone(),
        );
        // A thread of its own, as a drop cannot wait inside the test's runtime.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                if let Ok(management) = url::Url::parse(&servers.amqp_management) {
                    test_support::remove_vhost(&management, &vhost).await;
                }
                let Ok(mut admin) = PgConnection::connect(&servers.postgres).await else {
                    return;
                };
                execute(
                    &mut admin,
                    format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
                )
                .await;
                for service in SERVICES {
                    execute(
                        &mut admin,
                        format!("DROP ROLE IF EXISTS {prefix}{}", identifier(service)),
                    )
                    .await;
                }
            });
        })
        .join();
    }
}

async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .unwrap();
}

async fn create_vhost(servers: &Servers, vhost: &str) {
    let url = format!("{}/api/vhosts/{vhost}", servers.amqp_management);
    let answer = reqwest::Client::new().put(url).send().await.unwrap();
    assert!(
        answer.status().is_success(),
        "the vhost {vhost}: {}",
        answer.status()
    );
}

fn root() -> PathBuf {
    servers::root().unwrap()
}

/// The profile that this test was built with: its binaries stand beside it.
fn profile() -> &'static str {
    let is_release = std::env::current_exe()
        .is_ok_and(|path| path.ancestors().any(|p: &Path| p.ends_with("target/release")));
    if is_release { "release" } else { "debug" }
}
