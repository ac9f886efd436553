//! How much there is to do, for the metrics.

use std::time::Duration;

use event_bus::Lane;
use postgres::Database;
use tokio_util::sync::CancellationToken;

use crate::storage;

const PERIOD: Duration = Duration::from_secs(15);

/// Writes the depth of all lanes to the metrics until `shutdown`.
pub async fn depth(db: Database, shutdown: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = period.tick() => {}
        }
        match storage::depth(&db).await {
            Ok(counts) => record(&counts),
            Err(fault) => tracing::debug!(error = &fault as &dyn std::error::Error, "tasks were not counted"),
        }
    }
}

fn record(counts: &[(String, String, i64)]) {
    for lane in Lane::ALL {
        for state in ["queued", "running", "waiting"] {
            let count = counts
                .iter()
                .find(|(of_lane, in_state, _)| of_lane == lane.as_str() && in_state == state)
                .map_or(0, |(_, _, count)| *count);
            metrics::gauge!("task_queue_depth", "lane" => lane.as_str(), "state" => state).set(count as f64);
        }
    }
}
