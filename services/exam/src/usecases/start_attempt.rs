use access_token::Caller;
use postgres::WriteTx;
use problem::{Problem, codes};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use typed_id::{AttemptId, ExamId, UserId};

use super::ChangeError;
use super::close_attempt::{Paper, close};
use crate::app::Exams;
use crate::domain::attempt::{ClosedBy, State};
use crate::domain::deadline::deadline;
use crate::domain::draw;
use crate::domain::policy::{Refusal, next_attempt};
use crate::domain::revision::{Revision, max_score};
use crate::snapshots::Snapshots;
use crate::storage::accommodations;
use crate::storage::attempts::{self, Attempt};
use crate::storage::exams::{self, Exam};
use crate::storage::users;

pub struct Started {
    pub attempt: Attempt,
    pub is_new: bool,
}

/// Begins an exam, or gives the attempt that is open: also to 200 tabs at once.
pub async fn start_attempt(app: &Exams, caller: &Caller, id: ExamId) -> Result<Started, Problem> {
    let user = caller.user()?;
    let known = app.snapshots.exam(id).await?;
    if !known.is_published() {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    app.roster.learner_course(user, known.course_id()).await?;
    // Read by one of a crowd, before all of them hold connections.
    app.snapshots.revision(id, known.revision).await?;
    let (student, snapshots) = (user.id, app.snapshots.clone());
    let grace = Duration::seconds(app.settings.grace_seconds.into());
    let started = app.db.write(move |mut tx| async move {
        // The newest word on its times, and nobody moves them until this commits.
        let exam = exams::share(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        let now = attempts::now(&mut *tx).await?;
        let mut all = attempts::of_user(&mut *tx, id, student).await?;
        if let Some(open) = all.iter_mut().find(|attempt| attempt.state == State::Open) {
            if open.deadline.is_none_or(|deadline| now <= deadline + grace) {
                let attempt = open.clone();
                return Ok::<_, ChangeError>(
                    tx.rollback(Ok(Started {
                        attempt,
                        is_new: false,
                    }))
                    .await?,
                );
            }
            // Over, and the server has not come to it yet, or does this moment.
            *open = close_overdue(&mut tx, &snapshots, open.id, now).await?;
        }
        let ended = i32::try_from(all.len()).unwrap_or(i32::MAX);
        // Not always that of the last one: more time opens an earlier one again.
        let last_ended_at = all.iter().filter_map(|attempt| attempt.submitted_at).max();
        let number = match next_attempt(&exam.attempt_policy(), ended, last_ended_at, now) {
            Ok(number) => number,
            // Committed all the same: what was over is handed in now.
            Err(refusal) => return Ok(tx.commit(Err(refused(refusal))).await?),
        };
        if !exam.is_published() {
            return Err(Problem::new(&codes::NOT_FOUND).into());
        }
        let revision = snapshots.revision_within(&mut tx, id, exam.revision).await?;
        let accommodation = accommodations::of_user(&mut *tx, id, student).await?;
        let ends_at = deadline(now, &exam.timing(), accommodation);
        let new = new_attempt(&exam, &revision, student, number, now, ends_at);
        if attempts::insert(&mut tx, &new).await? {
            return Ok(tx
                .commit(Ok(Started {
                    attempt: new,
                    is_new: true,
                }))
                .await?);
        }
        // Also with an access token that is still valid.
        if users::erased(&mut *tx, &[student.0]).await?.contains(&student) {
            return Err(Problem::new(&codes::NOT_FOUND).into());
        }
        // Another tab was quicker; its attempt is committed by now.
        let attempt = attempts::of_user(&mut *tx, id, student)
            .await?
            .into_iter()
            .next_back();
        let attempt = attempt.ok_or(sqlx::Error::RowNotFound)?;
        Ok(tx
            .rollback(Ok(Started {
                attempt,
                is_new: false,
            }))
            .await?)
    });
    let started: Started = started.await??;
    app.snapshots.remember(&started.attempt).await;
    Ok(started)
}

/// The attempt as it ended: now, or by whoever had its lock before.
async fn close_overdue(
    tx: &mut WriteTx,
    snapshots: &Snapshots,
    id: AttemptId,
    now: OffsetDateTime,
) -> Result<Attempt, sqlx::Error> {
    let attempt = attempts::lock(tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    if attempt.state != State::Open {
        return Ok(attempt);
    }
    let paper = Paper::within(tx, snapshots, &attempt).await?;
    let closed = close(tx, vec![(attempt, paper)], ClosedBy::Server, now).await?;
    closed.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}

fn new_attempt(
    exam: &Exam,
    revision: &Revision,
    student: UserId,
    number: i32,
    now: OffsetDateTime,
    deadline: Option<OffsetDateTime>,
) -> Attempt {
    let id = AttemptId::new(now);
    // The random half of the id is as good a seed as any.
    let seed = id.0.as_u64_pair().1.cast_signed();
    let questions = draw::questions(revision, seed);
    Attempt {
        id,
        exam_id: exam.id(),
        course_id: exam.course_id(),
        user_id: student,
        revision: exam.revision,
        number,
        state: State::Open,
        seed,
        question_ids: questions.iter().map(|question| question.id).collect(),
        started_at: now,
        deadline,
        submitted_at: None,
        submitted_by: None,
        answered: 0,
        score: None,
        max_score: max_score(questions),
        passed: None,
        receipt: None,
        version: 1,
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotOpen => Problem::new(&codes::EXAM_NOT_OPEN),
        Refusal::Exhausted => Problem::new(&codes::ATTEMPTS_EXHAUSTED),
        Refusal::Cooldown(until) => Problem::new(&codes::COOLDOWN_ACTIVE).with_detail(format!(
            "not before {}",
            until.format(&Rfc3339).unwrap_or_default()
        )),
    }
}
