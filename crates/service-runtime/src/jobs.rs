//! Jobs that every process with a schema has.

use postgres::Database;
use scheduler::{InvalidSchedule, Job};

use crate::idempotency::IdempotencyKeys;

/// Removes what is kept for a while alone: answers to idempotency keys, handled events, the history of jobs, tasks that are done.
pub(crate) fn forget(database: &Database) -> Result<Job, InvalidSchedule> {
    let database = database.clone();
    Job::new("forget", "17 * * * *", move |_| {
        let database = database.clone();
        async move {
            let answers = IdempotencyKeys::new(database.clone()).purge().await?;
            let events = event_bus::purge_inbox(&database).await?;
            let runs = scheduler::purge_history(&database).await?;
            let tasks = task_queue::purge(&database).await?;
            Ok(format!(
                "removed {answers} answers, {events} handled events, {runs} runs, {tasks} tasks"
            ))
        }
    })
}

/// Gives back the room of rows that are gone, where autovacuum has not come to it, and brings the planner's numbers up to date.
pub(crate) fn vacuum(database: &Database) -> Result<Job, InvalidSchedule> {
    let database = database.clone();
    Job::new("vacuum", "10 4 * * *", move |run| {
        let database = database.clone();
        async move {
            let tables = postgres::bloated_tables(&database).await?;
            let mut done = 0;
            for table in &tables {
                if run.should_stop() {
                    break;
                }
                postgres::vacuum(&database, table).await?;
                done += 1;
            }
            Ok(format!("vacuumed {done} of {} tables", tables.len()))
        }
    })
}

/// The name of this process in the history of jobs: no other has it, also when containers have one process id.
pub(crate) fn instance(name: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{name}@{}-{:08x}", host.trim(), rand::random::<u32>())
}
