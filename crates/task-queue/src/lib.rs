//! Work in the background: enqueued in the transaction that wants it, done by workers of the same service, its effect once.
//!
//! A service that has tasks is named in `event_bus::TASK_OWNERS`. It declares a kind of task, enqueues it where it writes anyway, and
//! says in its composition root what doing it means:
//!
//! ```
//! use task_queue::{Lane, Policy, Task, TaskError, Tasks, enqueue};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct WeeklyReport { course_id: String }
//!
//! impl Task for WeeklyReport {
//!     const NAME: &'static str = "report.weekly";
//!     const LANE: Lane = Lane::Low;
//!     const POLICY: Policy = Policy::DEFAULT.tries(5);
//! }
//!
//! # async fn usecase(db: &postgres::Database) -> Result<(), postgres::WriteError> {
//! db.write(|mut tx| async move {
//!     // ... what the request is about, and then, in the same transaction:
//!     enqueue(&mut tx, &WeeklyReport { course_id: "c-1".to_owned() }).await?;
//!     tx.commit(()).await
//! }).await
//! # }
//!
//! // runtime.work(tasks()) in app.rs; runtime.relay_outbox() takes tasks along.
//! fn tasks() -> Tasks {
//!     Tasks::new().on::<WeeklyReport, _, _>(|task, run| async move {
//!         // Whatever takes its time, outside of any transaction. `run.should_stop()` is true after the soft limit.
//!         let report = format!("report of {}", task.course_id);
//!         // The effect and the record of it, in one transaction, once.
//!         run.finish(move |tx| Box::pin(async move {
//!             sqlx::query("INSERT INTO reports VALUES ($1)").bind(&report).execute(&mut **tx).await?;
//!             Ok("wrote it".to_owned())
//!         })).await
//!     })
//! }
//! ```
//!
//! **Promises.** A task is enqueued with its transaction and never without it. It is done at least once, and what is written by
//! [`TaskRun::finish`] exactly once, whatever is delivered twice, killed or restarted; other effects (a call to somebody else) have to
//! bear being repeated. A try that fails is followed by others as the kind's [`Policy`] says, then the task is a dead letter with its
//! reason and trace (`scctl dlq`). The record (`tasks` in the service's schema) tells what became of each; it is kept for a week,
//! of dead ones for 90 days. Names of kinds and their fields live on in messages that wait: add fields with `#[serde(default)]`.
//! A payload holds ids, not persons.

mod enqueue;
mod error;
mod kinds;
mod measure;
pub mod operate;
mod run;
mod storage;
mod task;
mod worker;

pub use enqueue::{enqueue, enqueue_all, enqueue_once};
pub use error::TaskError;
pub use event_bus::Lane;
pub use kinds::Tasks;
pub use run::{Done, TaskRun};
pub use storage::purge;
pub use task::{Policy, Task};
pub use worker::{WorkerSettings, Workers};
