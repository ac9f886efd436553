use event_bus::outbox;
use postgres::WriteTx;
use problem::Problem;
use typed_id::ExamId;

use super::{ChangeError, events};
use crate::app::Exams;
use crate::domain::policy::may_review;
use crate::storage::attempts;
use crate::storage::exams::{self, Exam};

const EXAMS: i64 = 50;
const BATCH: i64 = 500;

/// Tells the students of exams that show results after their end that they may look, once the last of them is done. Gives the number of
/// exams.
pub async fn release_results(app: &Exams) -> Result<usize, Problem> {
    let due = exams::to_release(app.db.primary(), EXAMS)
        .await
        .map_err(postgres::problem_of)?;
    let mut released = 0;
    for id in due {
        let done = app.db.write(move |mut tx| async move {
            let is_released = release(&mut tx, id).await?;
            Ok::<_, ChangeError>(tx.commit(is_released).await?)
        });
        released += usize::from(done.await?);
        app.snapshots.forget_exam(id).await;
    }
    Ok(released)
}

/// Looks again under the exam's lock: its end may have been moved meanwhile, and nobody begins it while it is held.
async fn release(tx: &mut WriteTx, id: ExamId) -> Result<bool, ChangeError> {
    let Some(exam) = exams::lock(tx, id).await? else {
        return Ok(false);
    };
    let now = attempts::now(&mut **tx).await?;
    let somebody_sits = attempts::any_open(&mut **tx, id).await?;
    let may = may_review(&exam.review_policy, exam.closes_at, now, somebody_sits);
    if exam.review_policy != "after_close" || exam.released_at.is_some() || !may {
        return Ok(false);
    }
    let exam = Exam {
        released_at: Some(now),
        ..exam
    };
    exams::update(tx, &exam, now).await?;
    tx.plan_for_values().await?;
    let mut after = None;
    loop {
        let batch = attempts::lock_graded(tx, id, after, BATCH).await?;
        let Some(last) = batch.last().map(|attempt| attempt.id) else {
            return Ok(true);
        };
        let told: Vec<_> = batch
            .iter()
            .map(|attempt| events::graded(attempt, &exam, now))
            .collect();
        // The next version of each: a projection takes it for newer than what it was told before.
        attempts::store(tx, &batch).await?;
        outbox::append_all(tx, &told).await?;
        after = Some(last);
    }
}
