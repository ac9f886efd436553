use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use event_bus::Queue;
use event_bus::dead_letters::{DeadLetters, Letter, Which};
use serde::Serialize;
use serde_json::json;
use typed_id::EventId;

use crate::events::{Shown, readable};
use crate::output::{self, Output};
use crate::target::Target;

#[derive(Subcommand)]
pub enum Action {
    /// Show how many dead letters each queue has.
    List,
    /// Show the oldest dead letters of a queue, which stay there.
    Show {
        /// `service.topic` or `service.tasks.lane`, with or without `.dead`.
        queue: String,
        #[arg(long)]
        id: Option<String>,
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Put dead letters back into their queue: they are tried again as if for the first time.
    Replay {
        queue: String,
        #[command(flatten)]
        which: Selection,
    },
    /// Remove dead letters for good.
    Drop {
        queue: String,
        #[command(flatten)]
        which: Selection,
        /// Mean it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Selection {
    /// The event or task with this id.
    #[arg(long)]
    id: Option<String>,
    /// All that are there now.
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Count {
    queue: String,
    messages: u32,
}

#[derive(Serialize)]
struct Dead {
    #[serde(flatten)]
    event: Option<Shown>,
    /// Of a message that is no event of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<serde_json::Value>,
    reason: String,
    attempts: Option<i32>,
}

pub async fn run(target: &Target, output: Output, action: Action) -> Result<()> {
    let letters = DeadLetters::open(&target.bus()?).await?;
    let outcome = act(&letters, target, output, action).await;
    letters.close().await;
    outcome
}

async fn act(letters: &DeadLetters, target: &Target, output: Output, action: Action) -> Result<()> {
    match action {
        Action::List => {
            let counts = letters.counts().await?.into_iter();
            let counts: Vec<Count> = counts
                .map(|(queue, messages)| Count {
                    queue: queue.name(),
                    messages,
                })
                .collect();
            output::rows(output, &["queue", "messages"], &counts)
        }
        Action::Show { queue, id, limit } => {
            let (queue, which) = (find(&queue)?, which(id)?);
            let mut db = target.database().await?;
            let found = letters.look(&mut db, &queue, which, limit).await?;
            let dead: Vec<Dead> = found.into_iter().map(dead).collect();
            match output {
                Output::Json => output::rows(output, &[], &dead),
                Output::Table => dead.iter().try_for_each(print),
            }
        }
        Action::Replay { queue, which: of } => {
            let (queue, which) = (find(&queue)?, which(of.id)?);
            let mut db = target.database().await?;
            let count = letters.replay(&mut db, &queue, which).await?;
            let text = format!("{count} put back into {}", queue.name());
            output::done(output, &text, &json!({"queue": queue.name(), "replayed": count}))
        }
        Action::Drop {
            queue,
            which: of,
            yes,
        } => {
            let (queue, which) = (find(&queue)?, which(of.id)?);
            if !yes {
                bail!(
                    "what is dropped from {} is gone for good: say --yes",
                    queue.dead_name()
                );
            }
            let count = letters.remove(&queue, which).await?;
            let text = format!("{count} dropped from {}", queue.dead_name());
            output::done(output, &text, &json!({"queue": queue.name(), "dropped": count}))
        }
    }
}

fn find(name: &str) -> Result<Queue> {
    let name = name.strip_suffix(".dead").unwrap_or(name);
    Queue::all()
        .find(|queue| queue.name() == name)
        .with_context(|| format!("there is no queue {name}: see scctl dlq list"))
}

fn which(id: Option<String>) -> Result<Which> {
    let Some(id) = id else {
        return Ok(Which::All);
    };
    Ok(Which::One(id.parse::<EventId>().context(id)?))
}

fn dead(letter: Letter) -> Dead {
    let unreadable = letter.envelope.is_none().then(|| readable(&letter.payload));
    Dead {
        reason: match (&letter.failure, &letter.envelope) {
            (Some(failure), _) => failure.last_error.clone(),
            (None, Some(_)) => "not on record".to_owned(),
            (None, None) => "no event of ours".to_owned(),
        },
        attempts: letter.failure.map(|failure| failure.attempts),
        event: letter
            .envelope
            .map(|envelope| Shown::new(envelope, &letter.payload)),
        unreadable,
    }
}

fn print(dead: &Dead) -> Result<()> {
    if let Some(event) = &dead.event {
        println!("id        {}", event.id);
        println!("type      {}", event.event_type);
        println!("subject   {}", event.subject);
        println!("time      {}", event.time);
        println!("trace     {}", event.trace_id.as_deref().unwrap_or("-"));
        println!("request   {}", event.request_id.as_deref().unwrap_or("-"));
    }
    println!("reason    {}", dead.reason);
    if let Some(attempts) = dead.attempts {
        println!("attempts  {attempts}");
    }
    let payload = dead
        .event
        .as_ref()
        .map(|event| &event.payload)
        .or(dead.unreadable.as_ref());
    if let Some(payload) = payload {
        println!("{}\n", serde_json::to_string_pretty(payload)?);
    }
    Ok(())
}
