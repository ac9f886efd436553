//! Scheduled work.

pub mod youtube {
    use std::time::Duration;

    use clock::Clock;
    use postgres::Database;
    use service_runtime::Job;
    use tokio_util::sync::CancellationToken;

    use crate::storage::metadata;
    use crate::usecases::sync_metadata::MetadataSync;

    const PAUSE: Duration = Duration::from_secs(2);

    /// Every few hours all videos are due again (C-VID-10). [`run`] asks for them, as quickly as YouTube lets it.
    pub fn ask_again(db: Database, clock: Clock, hours: u32) -> anyhow::Result<Job> {
        Ok(Job::new(
            "youtube-sync",
            &format!("5 */{hours} * * *"),
            move |_| {
                let (db, clock) = (db.clone(), clock.clone());
                async move {
                    let due = metadata::all_due(db.primary(), clock.now()).await?;
                    Ok(format!("{due} videos are due"))
                }
            },
        )?)
    }

    /// Asks YouTube for what is due, new videos at once.
    pub async fn run(sync: MetadataSync, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let went_on = match sync.round().await {
                Ok(count) => count > 0,
                Err(problem) => {
                    tracing::warn!(
                        error = &problem as &dyn std::error::Error,
                        "YouTube could not be asked"
                    );
                    false
                }
            };
            if went_on {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

pub mod partitions {
    use postgres::{Database, ensure_months};
    use service_runtime::Job;

    /// Partitions of this month and the next two.
    pub async fn ensure(db: &Database) -> Result<(), sqlx::Error> {
        ensure_months(db, "access_log", 3).await
    }

    pub fn daily(db: Database) -> anyhow::Result<Job> {
        Ok(Job::new("partitions", "15 1 * * *", move |_| {
            let db = db.clone();
            async move {
                ensure(&db).await?;
                Ok("this month and the next two have partitions".to_owned())
            }
        })?)
    }
}
