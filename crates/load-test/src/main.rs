//! `sc-load`: load on the stack that `make run` started, through its public API alone; see docs/PERFORMANCE.md.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod action;
mod actor;
mod bench;
mod client;
mod closed;
mod compare;
mod cost;
mod exam_start;
mod fill;
mod mails;
mod open;
mod prepare;
mod processes;
mod recorder;
mod results;
mod saturate;
mod school;
mod sockets;
mod targets;
mod wire;
mod yardstick;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use dev_stack::status::Status;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use action::Workload;
use bench::{Bench, Load};
use client::Client;
use prepare::Staff;
use processes::Machine;

#[derive(Parser)]
#[command(name = "sc-load", about = "Load on a running Student Coaching stack")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The folder of the running stack.
    #[arg(long, global = true, default_value = ".dev")]
    folder: PathBuf,
    /// Name of its database, for the counts of commits.
    #[arg(long, global = true, default_value = "sc")]
    database: String,
    #[command(flatten)]
    staff: Staff,
}

#[derive(Subcommand)]
enum Command {
    /// Everything: saturation, users, overload; ends with verdicts and a report.
    Bench {
        #[command(flatten)]
        load: Load,
        /// A few seconds of each, with few users: shows that it runs, and measures nothing.
        #[arg(long)]
        smoke: bool,
    },
    /// How much of each workload there can be: closed loop over kept connections, rounds interleaved.
    Saturate {
        /// Which workloads; all when none is named.
        #[arg(value_enum)]
        workloads: Vec<Workload>,
        #[command(flatten)]
        load: Load,
    },
    /// Users at the design documents' pace: open loop.
    Users {
        #[command(flatten)]
        load: Load,
    },
    /// The users in more haste than there can be answers.
    Overload {
        /// Answers a second that there can be; found out by saturation when it is not given.
        #[arg(long)]
        peak: Option<f64>,
        #[command(flatten)]
        load: Load,
    },
    /// Two runs side by side, with the speed of the machine taken out.
    Compare(compare::Arguments),
    /// All students begin an exam within some seconds, each in two tabs.
    ExamStart(exam_start::Arguments),
    /// Adds courses and enrolments, to see how cost grows.
    Fill(fill::Arguments),
    /// Opens live sockets, all of one user (SC_LIVE__MAX_SOCKETS_PER_USER has to allow it), and weighs them.
    Sockets { count: usize },
    /// The server that the machine is measured with.
    #[command(hide = true)]
    Yardstick,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Command::Yardstick => return yardstick::serve(),
        Command::Compare(options) => return compare::run(options),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(cli))
}

async fn run(cli: Cli) -> Result<()> {
    let status = Status::read(&cli.folder)
        .with_context(|| format!("nothing runs in {}: see `make bench`", cli.folder.display()))?;
    raise_open_files();
    println!("{}", Machine::this());
    let client = Client::new(&status.gateway)?;
    let bench = Bench {
        client: &client,
        status: &status,
        folder: &cli.folder,
        database: &cli.database,
        staff: &cli.staff,
    };
    match cli.command {
        Command::Bench { load, smoke: false } => bench.everything(&load).await,
        Command::Bench { load, smoke: true } => bench.everything(&load.smoke()).await,
        Command::Saturate { workloads, load } => bench.saturate(&workloads, &load).await,
        Command::Users { load } => bench.users(&load).await,
        Command::Overload { peak, load } => bench.overload(peak, &load).await,
        Command::ExamStart(options) => exam_start::run(&client, &cli.folder, &cli.staff, &options).await,
        Command::Fill(options) => fill::run(&status, &cli.folder, &cli.database, &options).await,
        Command::Sockets { count } => {
            println!("{}", sockets::weigh(&client, &status, count).await?);
            Ok(())
        }
        Command::Yardstick | Command::Compare(_) => Ok(()),
    }
}

/// As many connections as the system lets this process have.
fn raise_open_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Staying with fewer shows as connections that cannot be opened.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
