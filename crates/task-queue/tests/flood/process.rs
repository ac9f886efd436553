//! The process that is killed: a relay, workers and a consumer. It is started by the test, with what it needs in the environment.

use contracts::events::v1::{UserRegistered, UserUpdated};
use event_bus::{BusSettings, Consumer, EventBus, HandlerError, Relay, Subscription};
use postgres::{Database, WriteTx};
use serde::{Deserialize, Serialize};
use task_queue::{Policy, Task, Tasks, WorkerSettings, Workers};
use tokio_util::sync::CancellationToken;

const WORKERS: WorkerSettings = WorkerSettings {
    high: 1,
    default: 8,
    low: 1,
    lease_seconds: 3,
};

#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    pub number: i32,
}

impl Task for Note {
    const NAME: &'static str = "test.note";
    // What a process that is killed had in hand has lost a try.
    const POLICY: Policy = Policy::DEFAULT.tries(100);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the other test"]
async fn process() {
    let (Ok(database), Ok(broker)) = (std::env::var("FLOOD_DATABASE"), std::env::var("FLOOD_BROKER")) else {
        return;
    };
    let settings = serde_json::from_value(serde_json::json!({ "url": database })).unwrap();
    let db = Database::connect(&settings, "video_progress", clock::Clock::system()).unwrap();
    let settings = BusSettings {
        url: broker.into(),
        prefetch: 32,
    };
    let (bus, never) = (
        EventBus::new(settings, "video_progress"),
        CancellationToken::new(),
    );
    let instance = std::process::id().to_string();
    tokio::join!(
        Relay::new(db.clone(), bus.clone()).run(never.clone()),
        Workers::new(
            db.clone(),
            bus.clone(),
            tasks(),
            &instance,
            WORKERS,
            never.clone()
        )
        .run(),
        Consumer::new(db, bus, subscription()).run(never.clone()),
    );
}

fn tasks() -> Tasks {
    Tasks::new().on::<Note, _, _>(|task, run| async move {
        run.finish(move |tx| {
            Box::pin(async move {
                write(tx, "task", task.number).await?;
                Ok(String::new())
            })
        })
        .await
    })
}

fn subscription() -> Subscription {
    Subscription::new("video-progress", "users")
        .on::<UserRegistered, _>(|tx, delivery| {
            Box::pin(async move { Ok::<_, HandlerError>(write(tx, "event", delivery.event.version).await?) })
        })
        .on::<UserUpdated, _>(|_, _| Box::pin(async { Ok(()) }))
}

async fn write(tx: &mut WriteTx, what: &str, number: i32) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effects VALUES ($1, $2)")
        .bind(what)
        .bind(number)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
