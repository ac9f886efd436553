//! A database with a record of tasks, a broker, and a relay and workers between them.

use std::time::Duration;

use event_bus::Relay;
use postgres::{Database, WriteError, WriteTx};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Executor};
use task_queue::{Done, Lane, Policy, Task, TaskError, TaskRun, Tasks, WorkerSettings, Workers, enqueue};
use test_support::{TestBroker, TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use typed_id::TaskId;

pub const PATIENCE: Duration = Duration::from_mins(1);
pub const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const DEFAULT_QUEUE: &str = "video-progress.tasks.default";
pub const DEAD_QUEUE: &str = "video-progress.tasks.default.dead";
/// So quick that a test need not wait.
pub const QUICK: Policy = Policy::DEFAULT.pauses(Duration::from_millis(20), Duration::from_millis(100));

/// Declares kinds of tasks that carry a number.
macro_rules! kinds {
    ($($name:ident, $text:literal, $lane:expr, $policy:expr;)+) => {$(
        #[derive(Debug, Serialize, Deserialize)]
        pub struct $name {
            pub number: i32,
        }
        impl Task for $name {
            const NAME: &'static str = $text;
            const LANE: Lane = $lane;
            const POLICY: Policy = $policy;
        }
    )+};
}
kinds! {
    Note, "test.note", Lane::Default, QUICK;
    Urgent, "test.urgent", Lane::High, QUICK;
    Idle, "test.idle", Lane::Low, QUICK;
    Bounded, "test.bounded", Lane::Default, QUICK.limits(Duration::from_millis(50), Duration::from_millis(400));
    Rated, "test.rated", Lane::Default, QUICK.rate(5, Duration::from_secs(1));
    Rare, "test.rare", Lane::Default, QUICK.rate(1, Duration::from_hours(1));
    Once, "test.once", Lane::Default, QUICK.tries(1);
}

pub struct Fixture {
    pub db: Database,
    pub database: TestDatabase,
    pub broker: TestBroker,
}

/// A relay or a process's workers.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// Ends it in the middle of whatever it does, its leases kept.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub const SETTINGS: WorkerSettings = WorkerSettings {
    high: 2,
    default: 4,
    low: 2,
    lease_seconds: 60,
};

impl Fixture {
    pub async fn new() -> Self {
        let (database, broker) = tokio::join!(TestDatabase::new("video_progress"), TestBroker::new());
        let db = database.database();
        // One row for each effect, so that a doubled one shows.
        db.primary()
            .execute("CREATE TABLE effects (number integer, at timestamptz DEFAULT clock_timestamp())")
            .await
            .unwrap();
        Self { db, database, broker }
    }

    pub async fn enqueue<T: Task>(&self, tasks: impl IntoIterator<Item = T>) -> Vec<TaskId> {
        let tasks: Vec<T> = tasks.into_iter().collect();
        let written: Result<Vec<TaskId>, WriteError> = self
            .db
            .write(|mut tx| async move {
                let mut ids = Vec::new();
                for task in &tasks {
                    ids.push(enqueue(&mut tx, task).await?);
                }
                tx.commit(ids).await
            })
            .await;
        written.unwrap()
    }

    pub fn relay(&self) -> Running {
        let (stop, bus) = (CancellationToken::new(), self.broker.bus("video_progress"));
        let task = tokio::spawn(Relay::new(self.db.clone(), bus).run(stop.clone()));
        Running { stop, task }
    }

    pub fn workers(&self, tasks: Tasks) -> Running {
        self.workers_with(self.db.clone(), tasks, SETTINGS)
    }

    pub fn workers_with(&self, db: Database, tasks: Tasks, settings: WorkerSettings) -> Running {
        let stop = CancellationToken::new();
        let bus = self.broker.bus("video_progress");
        let workers = Workers::new(db, bus, tasks, "here", settings, stop.clone())
            // As if each task were a long one.
            .parked_after(Duration::from_millis(300));
        Running {
            task: tokio::spawn(workers.run()),
            stop,
        }
    }

    pub async fn scalar<T>(&self, sql: impl AsRef<str>) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql.as_ref()))
            .fetch_one(self.db.primary())
            .await
            .unwrap()
    }

    pub async fn until(&self, sql: &str) {
        eventually(PATIENCE, || async {
            self.scalar::<bool>(sql).await.then_some(())
        })
        .await;
    }

    pub async fn effects(&self) -> i64 {
        self.scalar("SELECT count(*) FROM effects").await
    }

    /// Waits until so many tasks are done.
    pub async fn done(&self, count: usize) {
        self.until(&format!(
            "SELECT count(*) = {count} FROM tasks WHERE state = 'succeeded'"
        ))
        .await;
    }

    pub async fn published(&self) {
        self.until("SELECT count(*) = 0 FROM outbox WHERE published_at IS NULL")
            .await;
    }

    /// Waits until so many messages are in a queue.
    pub async fn messages(&self, queue: &str, count: u32) {
        eventually(PATIENCE, || async {
            (self.broker.messages(queue).await == count).then_some(())
        })
        .await;
    }
}

/// The effect of a task.
pub async fn count_up(run: &TaskRun, number: i32) -> Result<Done, TaskError> {
    run.finish(move |tx| {
        Box::pin(async move {
            insert(tx, number).await?;
            Ok(format!("wrote {number}"))
        })
    })
    .await
}

pub async fn insert(tx: &mut WriteTx, number: i32) -> Result<(), TaskError> {
    sqlx::query("INSERT INTO effects VALUES ($1)")
        .bind(number)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub fn notes() -> Tasks {
    Tasks::new().on::<Note, _, _>(|task, run| async move { count_up(&run, task.number).await })
}

pub fn note(number: i32) -> Note {
    Note { number }
}
