use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use scheduler::operate;
use serde_json::json;
use sqlx::PgConnection;

use crate::output::{self, Output};
use crate::target::Target;

#[derive(Subcommand)]
pub enum Action {
    /// Show all jobs and how they went last.
    List,
    /// Show the latest runs.
    History {
        /// `service/name`, or a name that one service alone has; all jobs without it.
        job: Option<String>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Have a job run once more, beside its schedule.
    Run {
        /// `service/name`, or a name that one service alone has.
        job: String,
    },
    /// Let due times go by unused; a run that is under way goes on.
    Pause { job: String },
    /// Keep to the schedule again. What went by is not made up for.
    Resume { job: String },
}

pub async fn run(target: &Target, output: Output, action: Action) -> Result<()> {
    let mut db = target.database().await?;
    let services = operate::services(&mut db).await?;
    ensure!(!services.is_empty(), "this role sees no service's jobs");
    match action {
        Action::List => {
            let jobs = operate::jobs(&mut db, &services).await?;
            let columns = [
                "service",
                "name",
                "cron",
                "zone",
                "next_due_at",
                "paused",
                "running_on",
                "last_state",
                "last_finished_at",
                "last_detail",
            ];
            output::rows(output, &columns, &jobs)
        }
        Action::History { job, limit } => {
            let (services, job) = match job {
                None => (services, None),
                Some(job) => {
                    let (service, name) = find(&mut db, &services, &job).await?;
                    (vec![service], Some(name))
                }
            };
            let runs = operate::history(&mut db, &services, job.as_deref(), limit.into()).await?;
            let columns = [
                "service",
                "job",
                "scheduled_for",
                "state",
                "attempts",
                "skipped",
                "started_at",
                "finished_at",
                "next_try_at",
                "instance",
                "detail",
            ];
            output::rows(output, &columns, &runs)
        }
        Action::Run { job } => {
            let (service, name) = find(&mut db, &services, &job).await?;
            ensure!(
                operate::ask_for_run(&mut db, &service, &name).await?,
                "{job} is gone"
            );
            let text = format!("{service}/{name} is run within seconds: scctl jobs history {service}/{name}");
            output::done(
                output,
                &text,
                &json!({"service": service, "job": name, "state": "queued"}),
            )
        }
        Action::Pause { job } => pause(&mut db, &services, &job, true, output).await,
        Action::Resume { job } => pause(&mut db, &services, &job, false, output).await,
    }
}

async fn pause(
    db: &mut PgConnection,
    services: &[String],
    job: &str,
    paused: bool,
    output: Output,
) -> Result<()> {
    let (service, name) = find(db, services, job).await?;
    ensure!(
        operate::set_paused(db, &service, &name, paused).await?,
        "{job} is gone"
    );
    let word = if paused { "paused" } else { "on schedule" };
    let value = json!({"service": service, "job": name, "paused": paused});
    output::done(output, &format!("{service}/{name} is {word}"), &value)
}

/// The schema and the name of a job.
async fn find(db: &mut PgConnection, services: &[String], job: &str) -> Result<(String, String)> {
    let (service, name) = match job.split_once('/') {
        Some((service, name)) => (Some(service.replace('-', "_")), name),
        None => (None, job),
    };
    let mut found = operate::jobs(db, services).await?;
    found.retain(|known| {
        known.name == name && service.as_ref().is_none_or(|service| *service == known.service)
    });
    if found.len() > 1 {
        let all: Vec<String> = found
            .iter()
            .map(|job| format!("{}/{name}", job.service))
            .collect();
        bail!("which one: {}?", all.join(", "));
    }
    let job = found.pop().with_context(|| format!("there is no job {job}"))?;
    Ok((job.service, job.name))
}
