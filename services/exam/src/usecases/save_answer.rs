use std::collections::HashSet;

use access_token::Caller;
use postgres::{Database, WriteError};
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{AttemptId, QuestionId};

use crate::app::Exams;
use crate::domain::answer::Answer;
use crate::storage::answers::{self, NewAnswer, Outcome};

/// What is stored of a question's answer.
#[derive(Debug, Clone)]
pub struct Saved {
    pub sequence: i32,
    pub saved_at: OffsetDateTime,
    /// Where it is not what was sent.
    pub instead: Option<Answer>,
}

/// Saves an answer and says what is stored, after its commit.
pub async fn save_answer(
    app: &Exams,
    caller: &Caller,
    attempt: AttemptId,
    question: QuestionId,
    sequence: i32,
    answer: Answer,
) -> Result<Saved, Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let known = app.snapshots.attempt(attempt).await?;
    if known.user_id != caller.user()?.id || !known.question_ids.contains(&question) {
        return Err(not_found());
    }
    let revision = app.snapshots.revision(known.exam_id, known.revision).await?;
    answer.check(revision.question(question).ok_or_else(not_found)?)?;
    let new = NewAnswer {
        attempt_id: attempt,
        question_id: question,
        sequence,
        answer,
        arrived_at: request_context::current()
            .arrived_at
            .unwrap_or_else(|| app.clock.now()),
    };
    match app.answers.write(attempt, new).await? {
        Outcome::Stored {
            sequence,
            saved_at,
            instead,
        } => Ok(Saved {
            sequence,
            saved_at,
            instead,
        }),
        Outcome::Closed => Err(Problem::new(&codes::ATTEMPT_CLOSED)),
    }
}

/// Writes a batch in one statement. Two answers to one question go in one after the other, as each may be the one that is too late.
pub async fn write(
    db: Database,
    batch: Vec<NewAnswer>,
    grace_seconds: f64,
) -> Result<Vec<Outcome>, WriteError> {
    let mut outcomes = vec![Outcome::Closed; batch.len()];
    let mut left: Vec<usize> = (0..batch.len()).collect();
    while !left.is_empty() {
        let mut seen = HashSet::new();
        let (round, rest): (Vec<usize>, Vec<usize>) = left
            .into_iter()
            .partition(|place| seen.insert((batch[*place].attempt_id, batch[*place].question_id)));
        let items: Vec<NewAnswer> = round.iter().map(|place| batch[*place].clone()).collect();
        let saved = answers::save(db.repeatable(), &items, grace_seconds).await?;
        for (place, outcome) in round.iter().zip(saved) {
            outcomes[*place] = outcome;
        }
        left = rest;
    }
    Ok(outcomes)
}
