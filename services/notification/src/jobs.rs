//! Scheduled work.

use std::sync::Arc;
use std::time::Duration;

use problem::Problem;
use service_runtime::Job;
use tokio_util::sync::CancellationToken;

use crate::app::Notification;
use crate::storage::{announcements, digests, mails};
use crate::usecases::{send_announcements, send_digests};

const DIGEST_PERIOD: Duration = Duration::from_secs(15);
/// How long a new announcement may wait when nobody wakes its job, as when another process took it.
const ANNOUNCEMENT_PERIOD: Duration = Duration::from_secs(2);
const METRICS_PERIOD: Duration = Duration::from_secs(15);

/// Sends summaries that are due.
pub async fn digests(app: Arc<Notification>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if !went_on(send_digests::send_batch(&app).await, "summaries wait") {
            pause(&shutdown, DIGEST_PERIOD).await;
        }
    }
}

/// Sends announcements, batch by batch.
pub async fn announcements(app: Arc<Notification>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if !went_on(send_announcements::send_batch(&app).await, "announcements wait") {
            tokio::select! {
                () = app.wake_announcer.notified() => {}
                () = pause(&shutdown, ANNOUNCEMENT_PERIOD) => {}
            }
        }
    }
}

/// Writes the depth of the queues to the metrics.
pub async fn metrics(app: Arc<Notification>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(fault) = record(&app).await {
            tracing::debug!(
                error = &fault as &dyn std::error::Error,
                "the queues cannot be counted"
            );
        }
        pause(&shutdown, METRICS_PERIOD).await;
    }
}

async fn record(app: &Notification) -> Result<(), sqlx::Error> {
    for (priority, count) in mails::count_pending(app.db.primary()).await? {
        metrics::gauge!("mail_queue_depth", "priority" => priority.as_str()).set(count as f64);
    }
    let items = digests::count_items(app.db.primary()).await?;
    metrics::gauge!("digest_items_waiting").set(items as f64);
    let sending = announcements::count_sending(app.db.primary()).await?;
    metrics::gauge!("announcements_sending").set(sending as f64);
    Ok(())
}

/// Forgets the budgets of hours that are over.
pub fn clean(app: &Arc<Notification>) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("clean", "45 3 * * *", move |_| {
        let app = Arc::clone(&app);
        async move {
            let before = app.clock.now() - time::Duration::days(1);
            let budgets = mails::purge_budgets(app.db.primary(), before).await?;
            Ok(format!("removed {budgets} budgets of mails"))
        }
    })?)
}

fn went_on(round: Result<bool, Problem>, otherwise: &'static str) -> bool {
    round.unwrap_or_else(|problem| {
        tracing::warn!(error = &problem as &dyn std::error::Error, "{otherwise}");
        false
    })
}

async fn pause(shutdown: &CancellationToken, period: Duration) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(period) => {}
    }
}
