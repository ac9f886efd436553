//! `sc-dev`: the school on one machine; see `make help`.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use dev_stack::process::{Known, open_log, tail};
use dev_stack::servers::{self, Servers};
use dev_stack::stack::{self, Options};
use dev_stack::status::Status;
use dev_stack::{pause, wait_until};
use nix::sys::signal::Signal;

#[derive(Parser)]
#[command(name = "sc-dev", about = "Student Coaching on one machine")]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Build and run everything until Ctrl-C.
    Run {
        #[arg(long, value_enum, default_value_t = Profile::Dev)]
        profile: Profile,
        /// Come back when it is ready, and leave it running.
        #[arg(long)]
        detach: bool,
    },
    /// Stop what runs in this checkout.
    Stop,
    /// Stop, and remove all data.
    Reset,
    /// Show what runs.
    Status {
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// The three private servers alone.
    Servers {
        #[command(subcommand)]
        action: ServersAction,
    },
    /// Run a command with the servers up and their addresses in its environment.
    Exec {
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

#[derive(Subcommand)]
enum ServersAction {
    Up,
    Down,
    Status,
}

#[derive(Clone, Copy, ValueEnum)]
enum Profile {
    Dev,
    Release,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse().action) {
        Ok(code) => code,
        Err(fault) => {
            // Not among the output: somebody may read that as JSON.
            let _ = writeln!(std::io::stderr(), "error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<ExitCode> {
    let root = servers::root()?;
    let folder = root.join(".dev");
    match action {
        Action::Run { profile, detach } => {
            let options = Options {
                root,
                release: matches!(profile, Profile::Release),
            };
            if detach {
                run_detached(&options)?;
            } else {
                stack::run(&options)?;
            }
        }
        Action::Stop => stack::stop(&folder)?,
        Action::Reset => stack::reset(&folder)?,
        Action::Status { output } => match (Status::read(&folder), output) {
            (None, _) => bail!("nothing runs in this checkout"),
            (Some(status), Output::Table) => println!("{}", status.table(&folder)),
            (Some(status), Output::Json) => println!("{}", serde_json::to_string_pretty(&status)?),
        },
        Action::Servers { action } => match action {
            ServersAction::Up => println!("{}", serde_json::to_string_pretty(&servers::up(&folder)?)?),
            ServersAction::Down => servers::down(&folder)?,
            ServersAction::Status => {
                let servers = servers::running(&folder).context("the servers are down")?;
                println!("{}", serde_json::to_string_pretty(&servers)?);
            }
        },
        Action::Exec { command } => return exec(&folder, &command),
    }
    Ok(ExitCode::SUCCESS)
}

/// The same command again, in the background.
fn run_detached(options: &Options) -> Result<()> {
    let folder = options.folder();
    let log = folder.join("log/sc-dev.log");
    let output = open_log(&log)?;
    let mut again = Command::new(std::env::current_exe()?);
    again
        .args([
            "run",
            "--profile",
            if options.release { "release" } else { "dev" },
        ])
        .current_dir(&options.root);
    again
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    std::os::unix::process::CommandExt::process_group(&mut again, 0);
    let mut child = again.spawn()?;
    let mut ended = None;
    wait_until("the stack is ready", Duration::from_mins(30), || {
        ended = child.try_wait().ok().flatten();
        ended.is_some() || Status::running(&folder).is_some()
    })?;
    match Status::running(&folder) {
        Some(status) => println!("{}", status.table(&folder)),
        None => bail!("it ended\n{}", tail(&log)),
    }
    Ok(())
}

fn exec(folder: &std::path::Path, command: &[String]) -> Result<ExitCode> {
    // From here on a signal ends the command, and the servers after it.
    let stop = stack::stop_flag()?;
    let held = servers::hold(folder)?;
    let Servers {
        postgres,
        redis,
        amqp,
        amqp_management,
        ..
    } = held.servers();
    let (program, arguments) = command.split_first().context("no command")?;
    let child = Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", postgres)
        .env("REDIS_URL", redis)
        .env("AMQP_URL", amqp)
        .env("AMQP_MANAGEMENT_URL", amqp_management)
        .spawn();
    let status = child
        .with_context(|| format!("cannot run {program}"))
        .and_then(|child| wait_for(child, &stop));
    held.let_go()?;
    let status = status?;
    // As a shell says it: 128 and the number of the signal that ended it.
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Waits for the end of a command, and hands one request to stop on to it.
fn wait_for(mut child: Child, stop: &AtomicBool) -> Result<ExitStatus> {
    let process = Known::of(child.id());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.swap(false, Ordering::SeqCst)
            && let Ok(process) = &process
        {
            process.signal(Signal::SIGTERM);
        }
        pause();
    }
}
