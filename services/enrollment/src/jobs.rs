//! Scheduled work.

pub mod expire_enrollments {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use crate::app::Enrollment;
    use crate::usecases::expire_enrollments::expire_enrollments;

    const PAUSE: Duration = Duration::from_secs(5);

    /// Ends enrolments whose time is over, again and again; what instances look at together, one of them takes.
    pub async fn run(app: Arc<Enrollment>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match expire_enrollments(&app).await {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(count, "enrolments have expired");
                    metrics::counter!("enrollments_expired_total").increment(count as u64);
                    continue;
                }
                Err(problem) => tracing::warn!(
                    error = &problem as &dyn std::error::Error,
                    "enrolments that are over stay for now"
                ),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}
