use access_token::Caller;
use problem::{Problem, codes};
use time::Duration;
use typed_id::AttemptId;

use super::ChangeError;
use super::close_attempt::{Paper, close};
use crate::app::Exams;
use crate::domain::attempt::{ClosedBy, State};
use crate::storage::attempts::{self, Attempt};

/// Hands in the caller's attempt, or tells how it ended already.
pub async fn submit_attempt(app: &Exams, caller: &Caller, id: AttemptId) -> Result<Attempt, Problem> {
    let known = app.snapshots.attempt(id).await?;
    if known.user_id != caller.user()?.id {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    let paper = Paper::of(&app.snapshots, &known).await?;
    let grace = Duration::seconds(app.settings.grace_seconds.into());
    let submitted = app.db.write(move |mut tx| async move {
        let attempt = attempts::lock(&mut tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        if attempt.state != State::Open {
            return Ok::<_, ChangeError>(tx.rollback(attempt).await?);
        }
        let now = attempts::now(&mut *tx).await?;
        // After the deadline it is the server who hands in, whoever asks.
        let by = if attempt.deadline.is_some_and(|deadline| now > deadline + grace) {
            ClosedBy::Server
        } else {
            ClosedBy::Student
        };
        let closed = close(&mut tx, vec![(attempt, paper)], by, now).await?;
        let attempt = closed.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
        Ok(tx.commit(attempt).await?)
    });
    Ok(submitted.await?)
}
