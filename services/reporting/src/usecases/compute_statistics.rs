use cache::Key;
use postgres::{WriteError, problem_of};
use problem::Problem;
use time::Date;
use tokio_util::sync::CancellationToken;

use super::get_statistics::TTL_OVER;
use crate::app::Reporting;
use crate::domain::day;
use crate::storage::statistics;

/// Counts each day that is due, and those that something was told of late; gives their number.
pub async fn compute_due(app: &Reporting, stop: &CancellationToken) -> Result<usize, Problem> {
    let today = day::today(app.clock.now());
    let due = statistics::due(app.db.primary(), today)
        .await
        .map_err(problem_of)?;
    let mut counted = 0;
    for day in due {
        if stop.is_cancelled() {
            break;
        }
        compute(app, day).await?;
        counted += 1;
    }
    Ok(counted)
}

/// Counts a day and keeps its figures; again makes no difference.
pub async fn compute(app: &Reporting, day: Date) -> Result<(), Problem> {
    let now = app.clock.now();
    let kept = app.db.write(move |mut tx| async move {
        statistics::unmark(&mut tx, day).await.map_err(WriteError::from)?;
        tx.plan_for_values().await?;
        let all = statistics::count(&mut *tx, (day, day), None).await?;
        statistics::keep(&mut tx, day, &all, now).await?;
        tx.commit(()).await
    });
    let kept: Result<(), WriteError> = kept.await;
    kept?;
    let old = [Key::DailyStats(day)];
    if !app.cache.invalidate(&old).await {
        let cache = app.cache.clone();
        tokio::spawn(async move { cache::repeat(TTL_OVER, || cache.invalidate(&old)).await });
    }
    Ok(())
}
