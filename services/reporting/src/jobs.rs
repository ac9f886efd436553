//! Scheduled work.

use std::sync::Arc;

use postgres::{Database, ensure_months};
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

pub fn all(app: &Arc<Reporting>) -> anyhow::Result<[Job; 4]> {
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
                ensure_partitions(&app.db).await?;
                Ok("this month and the next two have partitions".to_owned())
            }
        })?,
    ])
}
