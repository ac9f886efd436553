//! `sc-load`: load on the stack that `make run` started, through its public API alone; see `make bench`.
//!
//! Rate limits have to be off for it: `RATELIMIT_ENABLED=false make run PROFILE=release`.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod client;
mod machine;
mod prepare;
mod scenarios;
mod sockets;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use comfy_table::{Table, presets};
use dev_stack::status::Status;

use client::Client;
use machine::Meter;
use prepare::Exam;
use scenarios::{Outcome, begin_exam, saturate};

#[derive(Parser)]
#[command(name = "sc-load", about = "Load on a running Student Coaching stack")]
struct Cli {
    /// Students to make; they are made anew for each run.
    #[arg(long, default_value_t = 200)]
    students: usize,
    /// Over which time they begin the exam, each in two tabs.
    #[arg(long, default_value_t = 10)]
    start_seconds: u64,
    /// How long each endpoint is saturated.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Requests at a time while an endpoint is saturated.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Open this many live sockets instead, all of one user (SC_LIVE__MAX_SOCKETS_PER_USER has to allow it), and weigh them.
    #[arg(long)]
    sockets: Option<usize>,
    /// The folder of the running stack.
    #[arg(long, default_value = ".dev")]
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let status = Status::read(&cli.folder)
        .context("nothing runs here: RATELIMIT_ENABLED=false make run PROFILE=release")?;
    let client = Client::new(&status.gateway)?;
    println!("{}", machine::facts());
    if let Some(count) = cli.sockets {
        let weighed = sockets::weigh(&client, &status, count).await?;
        println!("{weighed}");
        return Ok(());
    }
    let exam = Exam::prepare(&client, cli.students).await?;
    let mut meter = Meter::connect(&status).await?;

    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
        "scenario",
        "requests",
        "a second",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "errors",
        "commits/s",
    ]);
    meter.start().await?;
    let begun = begin_exam(&client, &exam, cli.start_seconds).await?;
    row(&mut table, &begun.outcome, meter.commits_per_second().await?);
    for endpoint in scenarios::ENDPOINTS {
        meter.start().await?;
        let outcome = saturate(
            &client,
            &exam,
            &begun.attempts,
            *endpoint,
            cli.connections,
            cli.seconds,
        )
        .await?;
        row(&mut table, &outcome, meter.commits_per_second().await?);
    }
    println!("{table}");
    println!(
        "{} students began in {} s, two tabs each: {} attempts, {} duplicates",
        cli.students,
        cli.start_seconds,
        begun.attempts.len(),
        begun.duplicates
    );
    println!("{}", machine::processes(&status));
    Ok(())
}

fn row(table: &mut Table, outcome: &Outcome, commits: f64) {
    let at = |quantile: f64| {
        format!(
            "{:.1}",
            outcome.latencies.value_at_quantile(quantile) as f64 / 1_000.0
        )
    };
    table.add_row([
        outcome.name.to_owned(),
        outcome.latencies.len().to_string(),
        format!("{:.0}", outcome.latencies.len() as f64 / outcome.seconds),
        at(0.5),
        at(0.95),
        at(0.99),
        format!("{:.1}", outcome.latencies.max() as f64 / 1_000.0),
        outcome.errors.to_string(),
        format!("{commits:.0}"),
    ]);
}
