//! `scctl`: what an operator asks of a running installation; see docs/RUNBOOK.md.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod dlq;
mod events;
mod import;
mod jobs;
mod output;
mod target;
mod tasks;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use output::Output;
use target::Target;

#[derive(Parser)]
#[command(
    name = "scctl",
    version,
    about = "Jobs, tasks, dead letters, events and imports of Student Coaching"
)]
struct Cli {
    #[command(flatten)]
    target: Target,
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Work by the calendar.
    Jobs {
        #[command(subcommand)]
        action: jobs::Action,
    },
    /// Work in the background.
    Tasks {
        #[command(subcommand)]
        action: tasks::Action,
    },
    /// Events and tasks that could not be handled.
    Dlq {
        #[command(subcommand)]
        action: dlq::Action,
    },
    /// Events as they pass.
    Events {
        #[command(subcommand)]
        action: events::Action,
    },
    /// Files of people, by way of the API.
    Import {
        #[command(flatten)]
        api: import::Api,
        #[command(subcommand)]
        action: import::Action,
    },
    /// Print the completions of a shell.
    Completions { shell: Shell },
}

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS stack for all libraries; an error means that somebody installed it before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Cli {
        target,
        output,
        action,
    } = Cli::parse();
    let outcome = match action {
        Action::Jobs { action } => jobs::run(&target, output, action).await,
        Action::Tasks { action } => tasks::run(&target, output, action).await,
        Action::Dlq { action } => dlq::run(&target, output, action).await,
        Action::Events { action } => events::run(&target, output, action).await,
        Action::Import { api, action } => import::run(&target, &api, output, action).await,
        Action::Completions { shell } => {
            // By way of memory, as it panics when a reader goes away early.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "scctl", &mut script);
            std::io::stdout().write_all(&script).map_err(Into::into)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Not among the output: somebody may read that as JSON.
            #[expect(clippy::print_stderr, reason = "a command-line tool")]
            {
                eprintln!("scctl: {fault:#}");
            }
            ExitCode::FAILURE
        }
    }
}
