//! Scheduled work.

pub mod youtube {
    use clock::Clock;
    use postgres::{Database, WriteError};
    use service_runtime::Job;
    use task_queue::enqueue;

    use crate::storage::metadata;
    use crate::tasks::SyncMetadata;

    /// Every few hours all videos are due again (C-VID-10), and are asked for in the background.
    pub fn ask_again(db: Database, clock: Clock, hours: u32) -> anyhow::Result<Job> {
        Ok(Job::new(
            "youtube-sync",
            &format!("5 */{hours} * * *"),
            move |_| {
                let (db, clock) = (db.clone(), clock.clone());
                async move {
                    let due = mark_due(&db, &clock).await?;
                    Ok(format!("{due} videos are due"))
                }
            },
        )?)
    }

    async fn mark_due(db: &Database, clock: &Clock) -> Result<u64, WriteError> {
        let now = clock.now();
        db.write(move |mut tx| async move {
            let due = metadata::all_due(&mut *tx, now).await?;
            enqueue(&mut tx, &SyncMetadata {}).await?;
            tx.commit(due).await
        })
        .await
    }
}

pub mod partitions {
    use postgres::{Database, drop_months, ensure_months};
    use service_runtime::Job;

    const TABLE: &str = "access_log";

    /// Partitions of this month and the next two.
    pub async fn ensure(db: &Database) -> Result<(), sqlx::Error> {
        ensure_months(db, TABLE, 3).await
    }

    /// Makes those that are to come, and drops those whose time is over; gives how many it dropped.
    pub async fn keep(db: &Database, months: u32) -> Result<usize, sqlx::Error> {
        ensure(db).await?;
        drop_months(db, TABLE, months).await
    }

    pub fn daily(db: Database, keep_months: u32) -> anyhow::Result<Job> {
        Ok(Job::new("partitions", "15 1 * * *", move |_| {
            let db = db.clone();
            async move {
                let dropped = keep(&db, keep_months).await?;
                Ok(format!(
                    "this month and the next two have partitions; dropped {dropped} old ones"
                ))
            }
        })?)
    }
}
