//! The command line that every process has.

use std::ffi::{CString, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use clock::Clock;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::configuration::{Loaded, load};
use crate::serve::{Listeners, check_migrations, serve};
use crate::{App, Runtime, shutdown};

#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
struct Cli<C: Subcommand> {
    /// A file of settings, over the defaults and under the environment.
    #[arg(long, env = "SC_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command<C>>,
}

#[derive(Subcommand)]
enum Command<C: Subcommand> {
    /// Serve (the default).
    Serve,
    /// Bring the schema up to date.
    Migrate,
    /// Exit with 0 when the process on this machine is ready.
    Healthcheck,
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    #[command(flatten)]
    App(C),
}

#[derive(Subcommand)]
enum ConfigAction {
    /// Say what is wrong with it.
    Check,
    /// Show what is in force, secrets masked.
    Print,
}

/// Runs the process as these arguments say, of which the first is its name.
pub fn main<A: App>(arguments: Vec<OsString>) -> ExitCode {
    // Its program has many names; `ps` and `top` show this one.
    if let Ok(name) = CString::new(A::NAME.replace('_', "-")) {
        let _ = nix::sys::prctl::set_name(&name);
    }
    match run::<A>(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            #[expect(clippy::print_stderr, reason = "logging may not be set up")]
            {
                eprintln!("{}: {fault:#}", A::NAME);
            }
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "answers of the command line")]
fn run<A: App>(arguments: Vec<OsString>) -> Result<()> {
    let cli = Cli::<A::Command>::parse_from(arguments);
    // One TLS stack for all libraries; an error means that somebody installed it before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let loaded = load::<A::Settings>(A::DEFAULTS, cli.config.as_deref(), std::env::vars())?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Config {
            action: ConfigAction::Check,
        } => {
            for (key, what) in &loaded.warnings {
                println!("{key}: {what}");
            }
            println!("the configuration is good");
            Ok(())
        }
        Command::Config {
            action: ConfigAction::Print,
        } => {
            print!("{}", loaded.print());
            Ok(())
        }
        command => run_async::<A>(loaded, command),
    }
}

fn run_async<A: App>(loaded: Loaded<A::Settings>, command: Command<A::Command>) -> Result<()> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.enable_all();
    if loaded.runtime.runtime.workers > 0 {
        threads.worker_threads(loaded.runtime.runtime.workers);
    }
    let threads = threads.build()?;
    threads.block_on(async {
        let mut telemetry = telemetry::init(A::NAME, &loaded.runtime.log, &loaded.runtime.trace)?;
        let outcome = match command {
            Command::Serve => serve_app::<A>(loaded).await,
            Command::Migrate => migrate::<A>(&loaded).await,
            Command::Healthcheck => healthcheck(&loaded).await,
            Command::App(command) => {
                let mut runtime =
                    Runtime::new(A::NAME, loaded.runtime, Clock::system(), A::migrator().is_some())?;
                A::command(&mut runtime, loaded.app, command).await
            }
            Command::Config { .. } => Ok(()),
        };
        // Spans are sent also when the start failed: that is when they are wanted most.
        let _ = tokio::task::spawn_blocking(move || telemetry.flush()).await;
        outcome
    })
}

async fn serve_app<A: App>(loaded: Loaded<A::Settings>) -> Result<()> {
    for (setting, what) in &loaded.warnings {
        tracing::warn!(setting, what, "a setting is legal but risky");
    }
    let listeners = Listeners::bind(
        A::migrator().map(|_| loaded.runtime.grpc.listen),
        loaded.runtime.admin.listen,
    )
    .await?;
    let mut runtime = Runtime::new(A::NAME, loaded.runtime, Clock::system(), A::migrator().is_some())?;
    check_migrations::<A>(&runtime).await?;
    let hard = CancellationToken::new();
    shutdown::on_signals(runtime.stopping.clone(), hard.clone())?;
    A::start(&mut runtime, loaded.app).await?;
    serve(runtime, listeners, hard).await
}

async fn migrate<A: App>(loaded: &Loaded<A::Settings>) -> Result<()> {
    let Some(migrator) = A::migrator() else {
        return Ok(());
    };
    let url = loaded.runtime.database.url.expose_secret();
    let options = sqlx::postgres::PgConnectOptions::from_str(url).context("database.url")?;
    let mut connection = PgConnection::connect_with(&options)
        .await
        .context("the database is not reachable")?;
    postgres::migrate(&mut connection, A::NAME, Some(migrator)).await?;
    tracing::info!("the schema is up to date");
    Ok(connection.close().await?)
}

/// Asks the admin port by hand, so that the image needs no HTTP client.
async fn healthcheck<S>(loaded: &Loaded<S>) -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut address = loaded.runtime.admin.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(3), asked)
        .await
        .context("no answer in 3 s")??;
    anyhow::ensure!(
        answer.starts_with("HTTP/1.1 200"),
        "not ready: {}",
        answer.lines().last().unwrap_or_default()
    );
    Ok(())
}
