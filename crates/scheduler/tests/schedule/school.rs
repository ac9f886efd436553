//! A database with a schedule, and instances of a process that keep it.

use std::time::Duration;

use postgres::Database;
use scheduler::{Job, Scheduler, Settings};
use sqlx::{AssertSqlSafe, Executor};
use test_support::{TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_mins(1);
/// So long that nobody takes anything over.
pub const FOR_GOOD: Duration = Duration::from_hours(1);
pub const YEARLY: &str = "0 0 1 1 *";

pub struct School {
    pub db: Database,
    database: TestDatabase,
}

/// One process's scheduler.
pub struct Instance {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Instance {
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// Ends it in the middle of whatever it does, its lease kept.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub fn quick(lease: Duration) -> Settings {
    Settings {
        lease,
        poll: Duration::from_millis(20),
        retry_pause: Duration::from_millis(10),
        ..Settings::default()
    }
}

impl School {
    pub async fn open() -> Self {
        let database = TestDatabase::new("notification").await;
        let db = database.database();
        db.primary()
            .execute("CREATE TABLE effects (job text, due timestamptz, instance text)")
            .await
            .unwrap();
        Self { db, database }
    }

    /// Another process: a pool of its own.
    pub fn start(&self, name: &str, jobs: Vec<Job>, settings: Settings) -> Instance {
        let scheduler = Scheduler::new(self.database.database(), jobs, name, settings).unwrap();
        let stop = CancellationToken::new();
        Instance {
            task: tokio::spawn(scheduler.run(stop.clone())),
            stop,
        }
    }

    /// The jobs are known to the database and nothing is due yet.
    pub async fn register(&self, jobs: Vec<Job>) {
        let instance = self.start("registrar", jobs, quick(FOR_GOOD));
        self.until("SELECT count(*) > 0 FROM scheduled_jobs").await;
        instance.stop().await;
    }

    pub async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.db.primary()).await.unwrap();
    }

    pub async fn scalar<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(self.db.primary())
            .await
            .unwrap()
    }

    pub async fn until(&self, sql: &'static str) {
        eventually(PATIENCE, || async {
            self.scalar::<bool>(sql).await.then_some(())
        })
        .await;
    }

    /// A job whose effect is a row.
    pub fn effect(&self, name: &'static str, cron: &str) -> Job {
        let db = self.db.clone();
        Job::new(name, cron, move |run| {
            let db = db.clone();
            async move {
                sqlx::query("INSERT INTO effects VALUES ($1, $2, '')")
                    .bind(name)
                    .bind(run.scheduled_for())
                    .execute(db.primary())
                    .await?;
                Ok("wrote a row".to_owned())
            }
        })
        .unwrap()
    }
}
