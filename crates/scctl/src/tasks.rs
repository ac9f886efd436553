use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use event_bus::dead_letters::DeadLetters;
use serde::Serialize;
use sqlx::PgConnection;
use task_queue::operate::{self, LaneState, TaskState, Which};
use typed_id::TaskId;

use crate::output::{self, Output};
use crate::target::Target;

#[derive(Subcommand)]
pub enum Action {
    /// Show the queues: what is to be done, what waits for another try, what runs, and the dead letters.
    List,
    /// Show tasks that run at the moment.
    Running {
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show tasks that failed, the latest first: those that wait for another try and those that are dead.
    Failed {
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show one task.
    Show { id: String },
}

#[derive(Serialize)]
struct Shown {
    queue: String,
    /// Messages in the dead-letter queue.
    dead_letters: u32,
    #[serde(flatten)]
    state: LaneState,
}

const COLUMNS: [&str; 10] = [
    "id",
    "service",
    "kind",
    "lane",
    "state",
    "attempts",
    "started_at",
    "due_at",
    "instance",
    "detail",
];

pub async fn run(target: &Target, output: Output, action: Action) -> Result<()> {
    let mut db = target.database().await?;
    let services = operate::services(&mut db).await?;
    ensure!(!services.is_empty(), "this role sees no service's tasks");
    match action {
        Action::List => list(target, &mut db, &services, output).await,
        Action::Running { limit } => {
            let tasks = operate::tasks(&mut db, &services, Which::Running, limit.into()).await?;
            output::rows(output, &COLUMNS, &tasks)
        }
        Action::Failed { limit } => {
            let tasks = operate::tasks(&mut db, &services, Which::Failed, limit.into()).await?;
            output::rows(output, &COLUMNS, &tasks)
        }
        Action::Show { id } => {
            let which = Which::One(id.parse::<TaskId>().with_context(|| id.clone())?);
            let found = operate::tasks(&mut db, &services, which, 1).await?;
            let task = found.first().with_context(|| format!("there is no task {id}"))?;
            output::done(output, &text(task), task)
        }
    }
}

async fn list(target: &Target, db: &mut PgConnection, services: &[String], output: Output) -> Result<()> {
    let letters = DeadLetters::open(&target.bus()?).await?;
    let counts = letters.counts().await;
    letters.close().await;
    let mut dead: HashMap<String, u32> = counts?
        .into_iter()
        .map(|(queue, messages)| (queue.name(), messages))
        .collect();
    let lanes = operate::lanes(db, services).await?.into_iter();
    // A service that has no queues has no tasks either.
    let shown: Vec<Shown> = lanes
        .filter_map(|state| {
            let queue = format!("{}.tasks.{}", state.service.replace('_', "-"), state.lane);
            Some(Shown {
                dead_letters: dead.remove(&queue)?,
                queue,
                state,
            })
        })
        .collect();
    let columns = [
        "queue",
        "queued",
        "waiting",
        "running",
        "dead_letters",
        "succeeded_last_hour",
        "dead_last_day",
        "oldest_queued_seconds",
    ];
    output::rows(output, &columns, &shown)
}

fn text(task: &TaskState) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let trace = task
        .traceparent
        .as_deref()
        .and_then(|traceparent| traceparent.split('-').nth(1))
        .unwrap_or("-");
    format!(
        "id        {}\nkind      {} ({}, {})\nstate     {}\nattempts  {}\nenqueued  {}\nstarted   {}\nfinished  {}\ndue       {}\n\
         instance  {}\ntrace     {trace}\nrequest   {}\ndetail    {}",
        task.id,
        task.kind,
        task.service,
        task.lane,
        task.state,
        task.attempts,
        task.enqueued_at,
        or_none(&task.started_at),
        or_none(&task.finished_at),
        or_none(&task.due_at),
        task.instance,
        or_none(&task.request_id),
        task.detail,
    )
}
