//! Scheduled work.

use std::sync::Arc;
use std::time::Duration;

use problem::Problem;
use service_runtime::Job;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::Notification;
use crate::config::NotificationSettings;
use crate::storage::{announcements, digests, erased_users, mails, notifications, webhook_deliveries};
use crate::usecases::{send_announcements, send_digests};

const DIGEST_PERIOD: Duration = Duration::from_secs(15);
/// How long a new announcement may wait when nobody wakes its job, as when another process took it.
const ANNOUNCEMENT_PERIOD: Duration = Duration::from_secs(2);
const METRICS_PERIOD: Duration = Duration::from_secs(15);
const DELIVERIES_KEPT: time::Duration = time::Duration::days(30);
/// Rows that are forgotten in one statement.
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

/// Forgets the budgets of hours that are over, mails that were finished long ago, and what came to be kept of people while they were
/// erased.
pub fn clean(app: &Arc<Notification>) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("clean", "45 3 * * *", move |_| {
        let app = Arc::clone(&app);
        async move {
            let removed = remove_old(&app).await?;
            Ok(format!(
                "removed {} budgets of mails, {} finished mails, {} rows of erased people",
                removed.budgets, removed.mails, removed.of_erased
            ))
        }
    })?)
}

/// How many of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub budgets: u64,
    pub mails: u64,
    pub of_erased: i64,
}

pub async fn remove_old(app: &Notification) -> Result<Removed, sqlx::Error> {
    let (db, now) = (app.db.primary(), app.clock.now());
    Ok(Removed {
        budgets: mails::purge_budgets(db, now - time::Duration::days(1)).await?,
        mails: mails::purge(db, now - MAIL_RETENTION).await?,
        of_erased: erased_users::forget(db).await?,
    })
}

/// C-JOB-08: forgets notifications that are old.
pub fn forget_notifications(app: &Arc<Notification>, kept: NotificationSettings) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("forget-notifications", "0 4 * * *", move |run| {
        let app = Arc::clone(&app);
        async move {
            let (read, unread) = remove_notifications(&app, kept, run.stop()).await?;
            Ok(format!(
                "removed {read} notifications that were read and {unread} that never were"
            ))
        }
    })?)
}

/// Gives how many it removed that were read, and how many that never were.
pub async fn remove_notifications(
    app: &Notification,
    kept: NotificationSettings,
    stop: &CancellationToken,
) -> Result<(u64, u64), sqlx::Error> {
    let now = app.clock.now();
    let before = |months: u16| now - months_long(months);
    // Those that were read first: the others are then the oldest of all.
    let read = remove_made_before(app, before(kept.keep_read_months), true, stop).await?;
    let unread = remove_made_before(app, before(kept.keep_unread_months), false, stop).await?;
    Ok((read, unread))
}

async fn remove_made_before(
    app: &Notification,
    before: OffsetDateTime,
    were_read: bool,
    stop: &CancellationToken,
) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    while !stop.is_cancelled() {
        let some = notifications::purge(app.db.primary(), before, were_read, PURGE_BATCH).await?;
        removed += some;
        if some < PURGE_BATCH.unsigned_abs() {
            break;
        }
    }
    Ok(removed)
}

/// A month is a twelfth of a year here.
fn months_long(months: u16) -> time::Duration {
    time::Duration::days(i64::from(months) * 365 / 12)
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
