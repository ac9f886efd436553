//! The end of an attempt, the same whoever ends it: answers are read under the attempt's lock, graded, hashed into a receipt.

use std::collections::HashMap;
use std::sync::Arc;

use event_bus::outbox;
use postgres::WriteTx;
use problem::Problem;
use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::AttemptId;

use super::{events, uuids};
use crate::domain::answer::Answer;
use crate::domain::attempt::{ClosedBy, State};
use crate::domain::grading::{grade, total};
use crate::domain::receipt::receipt;
use crate::domain::revision::Revision;
use crate::domain::score::Score;
use crate::snapshots::Snapshots;
use crate::storage::answers::{self, Stored};
use crate::storage::attempts::{self, Attempt};
use crate::storage::exams::Exam;
use crate::storage::grades::{self, Grade};

/// What an attempt is judged by.
#[derive(Clone)]
pub struct Paper {
    pub exam: Arc<Exam>,
    pub revision: Arc<Revision>,
}

impl Paper {
    pub async fn of(snapshots: &Snapshots, attempt: &Attempt) -> Result<Self, Problem> {
        Ok(Self {
            exam: snapshots.exam(attempt.exam_id).await?,
            revision: snapshots.revision(attempt.exam_id, attempt.revision).await?,
        })
    }

    /// As [`Self::of`], inside a transaction.
    pub async fn within(
        db: &mut PgConnection,
        snapshots: &Snapshots,
        attempt: &Attempt,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self {
            exam: snapshots.exam_within(db, attempt.exam_id).await?,
            revision: snapshots
                .revision_within(db, attempt.exam_id, attempt.revision)
                .await?,
        })
    }
}

/// Closes locked, open attempts, in the transaction of the locks. Four statements, however many they are.
pub async fn close(
    tx: &mut WriteTx,
    open: Vec<(Attempt, Paper)>,
    by: ClosedBy,
    now: OffsetDateTime,
) -> Result<Vec<Attempt>, sqlx::Error> {
    let ids = uuids(&open, |(attempt, _)| attempt.id.0);
    let mut by_attempt: HashMap<AttemptId, Vec<Stored>> = HashMap::new();
    for answer in answers::of_attempts(&mut **tx, &ids).await? {
        by_attempt.entry(answer.attempt_id).or_default().push(answer);
    }
    let (mut closed, mut all_grades) = (Vec::with_capacity(open.len()), Vec::new());
    let (mut submitted, mut graded) = (Vec::new(), Vec::new());
    for (attempt, paper) in open {
        let answers = by_attempt.remove(&attempt.id).unwrap_or_default();
        let (attempt, grades) = judge(attempt, &paper.revision, &answers, by, now);
        all_grades.extend(grades);
        submitted.push(events::submitted(&attempt, &paper.exam));
        if attempt.state != State::Submitted {
            graded.push(events::graded(&attempt, &paper.exam, now));
        }
        closed.push(attempt);
    }
    attempts::store(tx, &closed).await?;
    grades::store(tx, &all_grades).await?;
    outbox::append_all(tx, &submitted).await?;
    outbox::append_all(tx, &graded).await?;
    Ok(closed)
}

fn judge(
    attempt: Attempt,
    revision: &Revision,
    answers: &[Stored],
    by: ClosedBy,
    now: OffsetDateTime,
) -> (Attempt, Vec<Grade>) {
    let given: HashMap<_, &Answer> = answers.iter().map(|a| (a.question_id, &a.answer)).collect();
    let grades: Vec<Grade> = attempt
        .question_ids
        .iter()
        .filter_map(|id| revision.question(*id))
        .map(|question| Grade {
            attempt_id: attempt.id,
            question_id: question.id,
            question_version: question.version,
            score: grade(
                question,
                given.get(&question.id).copied(),
                revision.rules.penalty(),
            ),
            max_score: question.content.points,
            is_manual: false,
            comment: String::new(),
        })
        .collect();
    let answered = answers::answered(answers);
    let score = total(grades.iter().map(|grade| grade.score));
    let listed: Vec<_> = answers
        .iter()
        .map(|a| (a.question_id, a.sequence, &a.answer))
        .collect();
    // What the server ends, ended at its deadline, however late the server came.
    let ended_at = match by {
        ClosedBy::Student => now,
        ClosedBy::Server => attempt.deadline.unwrap_or(now).min(now),
    };
    let attempt = Attempt {
        state: State::after_close(by, answered, score.is_none()),
        submitted_at: Some(ended_at),
        submitted_by: Some(by),
        answered,
        passed: score.map(|score| score.reaches(revision.rules.pass_percent, attempt.max_score)),
        score,
        receipt: Some(receipt(attempt.id, &listed)),
        ..attempt
    };
    (attempt, grades)
}

/// Score, pass and state of an attempt after some of its grades changed.
#[must_use]
pub fn rescored(attempt: Attempt, grades: &[Grade], pass_percent: i32) -> Attempt {
    let score = total(grades.iter().map(|grade| grade.score));
    let max_score: Score = grades.iter().map(|grade| grade.max_score).sum();
    let state = match (attempt.state, score) {
        (State::Expired, _) => State::Expired,
        (_, None) => State::Submitted,
        _ => State::Graded,
    };
    Attempt {
        state,
        passed: score.map(|score| score.reaches(pass_percent, max_score)),
        score,
        max_score,
        ..attempt
    }
}
