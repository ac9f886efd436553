//! Scheduled work.

use std::sync::Arc;

use postgres::{Database, drop_months, ensure_months};
use service_runtime::Job;

use crate::app::Reporting;
use crate::domain::day;
use crate::usecases::clean::clean;
use crate::usecases::compute_statistics::compute_due;
use crate::usecases::make_weekly_summaries::make_weekly_summaries;

/// Partitions of this month and the next two.
pub async fn ensure_partitions(db: &Database) -> Result<(), sqlx::Error> {
    ensure_months(db, "activity", 3).await
}

/// Makes the partitions that are to come and drops those that are older than `months`; gives the number of these.
pub async fn keep_partitions(db: &Database, months: u32) -> Result<usize, sqlx::Error> {
    ensure_partitions(db).await?;
    drop_months(db, "activity", months).await
}

pub fn all(app: &Arc<Reporting>, keep_months: u32) -> anyhow::Result<[Job; 4]> {
    let (statistics, summaries) = (Arc::clone(app), Arc::clone(app));
    let (cleaning, partitions) = (Arc::clone(app), Arc::clone(app));
    Ok([
        // C-JOB-05.
        Job::new("statistics", "0 2 * * *", move |run| {
            let app = Arc::clone(&statistics);
            async move {
                let days = compute_due(&app, run.stop()).await?;
                Ok(format!("counted {days} days"))
            }
        })?,
        // C-JOB-06. Before eight, when summaries by mail are sent.
        Job::new("weekly-summaries", "0 7 * * 1", move |run| {
            let app = Arc::clone(&summaries);
            async move {
                let teachers = make_weekly_summaries(&app, day::today(run.scheduled_for())).await?;
                Ok(format!("told {teachers} teachers of their week"))
            }
        })?,
        Job::new("clean", "10 4 * * *", move |_| {
            let app = Arc::clone(&cleaning);
            async move { clean(&app).await }
        })?,
        Job::new("partitions", "20 1 * * *", move |_| {
            let app = Arc::clone(&partitions);
            async move {
                let dropped = keep_partitions(&app.db, keep_months).await?;
                Ok(format!(
                    "this month and the next two have partitions; dropped {dropped} old ones"
                ))
            }
        })?,
    ])
}
