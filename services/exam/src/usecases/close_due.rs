use std::collections::HashMap;

use problem::Problem;
use typed_id::ExamId;

use super::ChangeError;
use super::close_attempt::{Paper, close};
use crate::app::Exams;
use crate::domain::attempt::ClosedBy;
use crate::storage::attempts;

const BATCH: i64 = 100;

/// Hands in attempts whose time is over, a batch at a time, and tells whether there may be more. A deadline that was moved is looked at again under the lock.
pub async fn close_due(app: &Exams) -> Result<bool, Problem> {
    let snapshots = app.snapshots.clone();
    let after = f64::from(app.settings.grace_seconds + app.settings.close_after_seconds);
    let closing = app.db.write(move |mut tx| async move {
        let due = attempts::lock_due(&mut tx, after, BATCH).await?;
        if due.is_empty() {
            return Ok::<_, ChangeError>(tx.rollback(Vec::new()).await?);
        }
        let now = attempts::now(&mut *tx).await?;
        let mut papers: HashMap<(ExamId, i32), Paper> = HashMap::new();
        for attempt in &due {
            let key = (attempt.exam_id, attempt.revision);
            if let std::collections::hash_map::Entry::Vacant(place) = papers.entry(key) {
                place.insert(Paper::within(&mut tx, &snapshots, attempt).await?);
            }
        }
        let open = due
            .into_iter()
            .filter_map(|attempt| {
                let paper = papers.get(&(attempt.exam_id, attempt.revision))?.clone();
                Some((attempt, paper))
            })
            .collect();
        let closed = close(&mut tx, open, ClosedBy::Server, now).await?;
        Ok(tx.commit(closed).await?)
    });
    let closed = closing.await?;
    if !closed.is_empty() {
        tracing::info!(count = closed.len(), "handed in attempts that were over");
        metrics::counter!("exam_attempts_closed_by_server_total").increment(closed.len() as u64);
    }
    Ok(closed.len() as i64 == BATCH)
}
