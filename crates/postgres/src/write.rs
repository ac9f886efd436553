//! Write transactions (docs/adr/0003).
//!
//! They run in a task of their own, so that a client that hangs up cannot cancel them half-way, and a connection goes back to
//! the pool only with its transaction ended: `sqlx::Pool::begin` can promise neither in 0.9.0.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use clock::Clock;
use problem::{Problem, codes};
use sqlx::{Executor, PgConnection};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::connections::{PATIENCE, Taken};
use crate::{Database, problem_of};

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    #[error("the transaction's task died")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl From<WriteError> for Problem {
    fn from(fault: WriteError) -> Self {
        match fault {
            WriteError::Database(fault) => problem_of(fault),
            WriteError::Interrupted(fault) => Self::new(&codes::INTERNAL).with_source(fault),
        }
    }
}

/// The outcome of a transaction that was ended on purpose. Only [`WriteTx::commit`] and [`WriteTx::rollback`] make one.
#[derive(Debug)]
pub struct Finished<T>(T);

/// An open write transaction; derefs to its connection. Dropping it rolls back.
#[derive(Debug)]
pub struct WriteTx {
    connection: Option<Taken>,
    schema: &'static str,
    clock: Clock,
    relay: Arc<Notify>,
    wake_relay: bool,
    after_commit: Vec<AfterCommit>,
}

struct AfterCommit(Box<dyn FnOnce() + Send + Sync>);

impl fmt::Debug for AfterCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AfterCommit")
    }
}

impl Database {
    /// Runs `work` in a write transaction. It goes on when the caller is dropped; `Ok` comes only after the commit.
    pub async fn write<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(WriteTx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Finished<T>, E>> + Send + 'static,
        T: Send + 'static,
        E: From<WriteError> + Send + 'static,
    {
        let database = self.clone();
        let task = request_context::spawn(async move {
            let tx = WriteTx::begin(&database).await?;
            work(tx).await
        });
        match task.await {
            Ok(outcome) => outcome.map(|Finished(value)| value),
            Err(fault) => Err(WriteError::Interrupted(fault).into()),
        }
    }
}

/// What is written is found by its keys, whoever asks: planned once a connection, and not each time for how many there are. Planning was a
/// quarter of PostgreSQL's time under load (docs/adr/0033).
const BEGIN: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan";

impl WriteTx {
    async fn begin(database: &Database) -> Result<Self, WriteError> {
        let mut taken = database.connections().take().await?;
        if taken.was_kept() {
            let begin = taken.execute(sqlx::raw_sql(BEGIN));
            if let Ok(Ok(_)) = timeout(PATIENCE, begin).await {
                return Ok(Self::on(taken, database));
            }
            // It has died in the meantime: nothing has happened yet.
            taken.replace().await?;
        }
        taken.execute(sqlx::raw_sql(BEGIN)).await?;
        Ok(Self::on(taken, database))
    }

    fn on(connection: Taken, database: &Database) -> Self {
        Self {
            connection: Some(connection),
            schema: database.schema(),
            clock: database.clock().clone(),
            relay: Arc::clone(database.relay_wakes()),
            wake_relay: false,
            after_commit: Vec::new(),
        }
    }

    /// Its transaction has ended.
    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.give_back();
        }
    }

    /// The schema of the service that writes.
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// For statements whose best plan depends on their values, such as those with optional filters: they are planned for them, in this
    /// transaction (docs/adr/0033).
    pub async fn plan_for_values(&mut self) -> Result<(), sqlx::Error> {
        self.execute(sqlx::raw_sql("SET LOCAL plan_cache_mode = auto"))
            .await?;
        Ok(())
    }

    /// Events were added: the relay is woken after the commit.
    pub fn wake_relay_on_commit(&mut self) {
        self.wake_relay = true;
    }

    /// Does something once the changes are durable, and nothing when they are undone. It must not wait, and may be lost with the
    /// process: what has to happen goes into the outbox.
    pub fn after_commit(&mut self, work: impl FnOnce() + Send + Sync + 'static) {
        self.after_commit.push(AfterCommit(Box::new(work)));
    }

    /// Makes the changes durable.
    pub async fn commit<T>(mut self, value: T) -> Result<Finished<T>, WriteError> {
        // PostgreSQL answers COMMIT of a failed transaction with a silent rollback. The SELECT fails there, so that an error which
        // somebody swallowed cannot become an acknowledged write.
        self.execute(sqlx::raw_sql("SELECT 1; COMMIT")).await?;
        self.give_back();
        if self.wake_relay {
            self.relay.notify_one();
        }
        for AfterCommit(work) in std::mem::take(&mut self.after_commit) {
            work();
        }
        Ok(Finished(value))
    }

    /// Undoes the changes on purpose.
    pub async fn rollback<T>(mut self, value: T) -> Result<Finished<T>, WriteError> {
        self.execute(sqlx::raw_sql("ROLLBACK")).await?;
        self.give_back();
        Ok(Finished(value))
    }
}

impl Drop for WriteTx {
    fn drop(&mut self) {
        if let (Some(mut connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) {
            runtime.spawn(async move {
                let rollback = connection.execute(sqlx::raw_sql("ROLLBACK"));
                match timeout(PATIENCE, rollback).await {
                    Ok(Ok(_)) => connection.give_back(),
                    _ => connection.end(),
                }
            });
        }
    }
}

impl Deref for WriteTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a transaction has its connection until it is consumed"),
        }
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("a transaction has its connection until it is consumed"),
        }
    }
}
