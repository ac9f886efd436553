//! Scheduled work.

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
