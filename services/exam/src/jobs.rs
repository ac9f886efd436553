//! Scheduled work.

pub mod close_due {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use crate::app::Exams;
    use crate::storage::attempts;
    use crate::usecases::close_due::close_due;

    /// The longest and shortest wait between two looks.
    const LONGEST: Duration = Duration::from_secs(1);
    const SHORTEST: Duration = Duration::from_millis(20);

    /// Hands in what is over, again and again; whatever time the process was away, it catches up at once.
    pub async fn run(app: Arc<Exams>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match close_due(&app).await {
                // A whole batch: there may be more.
                Ok(true) => SHORTEST,
                Ok(false) => until_next(&app).await,
                Err(problem) => {
                    tracing::warn!(
                        error = &problem as &dyn std::error::Error,
                        "attempts that are over stay open for now"
                    );
                    LONGEST
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn until_next(app: &Exams) -> Duration {
        let next = attempts::seconds_to_next(app.db.primary()).await.ok().flatten();
        let after = f64::from(app.settings.grace_seconds + app.settings.close_after_seconds);
        next.map_or(LONGEST, |seconds| {
            Duration::from_secs_f64((seconds + after).clamp(0.0, 1.0))
        })
        .clamp(SHORTEST, LONGEST)
    }
}

pub mod release_results {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use crate::app::Exams;
    use crate::usecases::release_results::release_results;

    const PAUSE: Duration = Duration::from_secs(5);

    /// Tells of results that may be seen since an exam's end, again and again; instances take turns on the exam's row.
    pub async fn run(app: Arc<Exams>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match release_results(&app).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "exams are over, and their results may be seen"),
                Err(problem) => tracing::warn!(
                    error = &problem as &dyn std::error::Error,
                    "nobody is told of results for now"
                ),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}
