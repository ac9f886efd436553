use std::time::Duration;

use cache::{Cache, Key};
use postgres::{WriteError, problem_of};
use problem::Problem;
use time::Date;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::get_statistics::TTL_OVER;
use crate::app::Reporting;
use crate::domain::day;
use crate::storage::statistics;

/// Between two tries to have Redis forget.
const PAUSE: Duration = Duration::from_millis(500);

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
    if !app.cache.invalidate(&[Key::DailyStats(day)]).await {
        tokio::spawn(repeat(app.cache.clone(), day));
    }
    Ok(())
}

/// Has Redis forget what it did not take: after a stall or a lost connection it still has the figures of before, an hour at most.
async fn repeat(cache: Cache, day: Date) {
    let trying = async {
        loop {
            sleep(PAUSE).await;
            if cache.invalidate(&[Key::DailyStats(day)]).await {
                return;
            }
        }
    };
    let _ = timeout(TTL_OVER, trying).await;
}
