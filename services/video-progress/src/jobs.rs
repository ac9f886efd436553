//! Scheduled work.

pub mod youtube {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use crate::usecases::sync_metadata::MetadataSync;

    const PAUSE: Duration = Duration::from_secs(2);

    /// Asks YouTube for what is due: new videos at once, all of them every few hours.
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
    use std::time::Duration;

    use postgres::{Database, ensure_months};
    use tokio_util::sync::CancellationToken;

    const PERIOD: Duration = Duration::from_hours(6);

    /// Partitions of this month and the next two.
    pub async fn ensure(db: &Database) -> Result<(), sqlx::Error> {
        ensure_months(db, "access_log", 3).await
    }

    pub async fn run(db: Database, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            if let Err(fault) = ensure(&db).await {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "partitions could not be made"
                );
            }
        }
    }
}
