//! Scheduled work.

use std::sync::Arc;
use std::time::Duration;

use problem::Problem;
use service_runtime::Job;
use tokio_util::sync::CancellationToken;

use crate::app::Notification;
use crate::storage::{announcements, digests, mails, webhook_deliveries};
use crate::usecases::{send_announcements, send_digests};

const DIGEST_PERIOD: Duration = Duration::from_secs(15);
/// How long a new announcement may wait when nobody wakes its job, as when another process took it.
const ANNOUNCEMENT_PERIOD: Duration = Duration::from_secs(2);
const METRICS_PERIOD: Duration = Duration::from_secs(15);
const DELIVERIES_KEPT: time::Duration = time::Duration::days(30);
/// Messages that are forgotten in one statement.
const PURGE_BATCH: i64 = 2_000;

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
    let now = app.clock.now();
    let (waiting, oldest) = webhook_deliveries::waiting(app.db.primary(), now).await?;
    metrics::gauge!("webhook_deliveries_waiting").set(waiting as f64);
    let late = oldest.map_or(0.0, |due| (now - due).as_seconds_f64());
    metrics::gauge!("webhook_oldest_due_seconds").set(late);
    Ok(())
}

/// Finished mails stay this long, for who asks what became of one.
const MAIL_RETENTION: time::Duration = time::Duration::days(90);

/// Forgets the budgets of hours that are over, and mails that were finished long ago.
pub fn clean(app: &Arc<Notification>) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("clean", "45 3 * * *", move |_| {
        let app = Arc::clone(&app);
        async move {
            let (budgets, mails) = remove_old(&app).await?;
            Ok(format!(
                "removed {budgets} budgets of mails and {mails} finished mails"
            ))
        }
    })?)
}

/// Gives how many budgets and mails it removed.
pub async fn remove_old(app: &Notification) -> Result<(u64, u64), sqlx::Error> {
    let (db, now) = (app.db.primary(), app.clock.now());
    let budgets = mails::purge_budgets(db, now - time::Duration::days(1)).await?;
    Ok((budgets, mails::purge(db, now - MAIL_RETENTION).await?))
}

/// Forgets what was posted to webhooks a month ago.
pub fn forget_deliveries(app: &Arc<Notification>) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("forget-webhook-deliveries", "15 4 * * *", move |_| {
        let app = Arc::clone(&app);
        async move {
            let before = app.clock.now() - DELIVERIES_KEPT;
            let mut forgotten = 0;
            loop {
                let removed = webhook_deliveries::purge(app.db.primary(), before, PURGE_BATCH).await?;
                forgotten += removed;
                if removed < PURGE_BATCH.unsigned_abs() {
                    return Ok(format!("removed {forgotten} messages of webhooks"));
                }
            }
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
