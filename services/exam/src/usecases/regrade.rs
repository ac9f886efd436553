use std::collections::{HashMap, HashSet};

use access_token::Caller;
use event_bus::outbox;
use postgres::WriteTx;
use problem::Problem;
use serde_json::json;
use typed_id::{AttemptId, ExamId, QuestionId, UserId};

use super::close_attempt::rescored;
use super::exams::for_staff;
use super::{ChangeError, events, uuids};
use crate::app::Exams;
use crate::domain::answer::Answer;
use crate::domain::attempt::State;
use crate::domain::grading::grade;
use crate::domain::question::Question;
use crate::domain::revision::Revision;
use crate::domain::score::Score;
use crate::snapshots::Snapshots;
use crate::storage::attempts::{self, Attempt};
use crate::storage::audit::{self, Entry};
use crate::storage::grades::{self, Grade};
use crate::storage::{answers, exams, questions};

const BATCH: i64 = 200;
const CHANGES_TOLD: usize = 500;

/// What a regrade changes for one attempt.
#[derive(Debug, Clone)]
pub struct Change {
    pub attempt_id: AttemptId,
    pub user_id: UserId,
    pub old: (Option<Score>, Option<bool>),
    pub new: (Option<Score>, Option<bool>),
}

#[derive(Debug, Default)]
pub struct Regraded {
    pub attempts: usize,
    pub changed: usize,
    /// The first of them.
    pub changes: Vec<Change>,
}

/// Grades all ended attempts of an exam again, with the keys as they are now. Answers stay, and so do grades given by hand.
pub async fn regrade(app: &Exams, caller: &Caller, id: ExamId, dry_run: bool) -> Result<Regraded, Problem> {
    for_staff(app, caller, id).await?;
    let actor = caller.user()?.id;
    let (mut sum, mut after) = (Regraded::default(), None);
    loop {
        let snapshots = app.snapshots.clone();
        let round = app.db.write(move |mut tx| async move {
            let (last, count, changes) = regrade_batch(&mut tx, &snapshots, id, after, actor).await?;
            let found = (last, count, changes);
            Ok::<_, ChangeError>(if dry_run {
                tx.rollback(found).await?
            } else {
                tx.commit(found).await?
            })
        });
        let (last, count, changes) = round.await?;
        sum.attempts += count;
        sum.changed += changes.len();
        let room = CHANGES_TOLD.saturating_sub(sum.changes.len());
        sum.changes.extend(changes.into_iter().take(room));
        if last.is_none() || (count as i64) < BATCH {
            return Ok(sum);
        }
        after = last;
    }
}

type Round = (Option<AttemptId>, usize, Vec<Change>);

async fn regrade_batch(
    tx: &mut WriteTx,
    snapshots: &Snapshots,
    id: ExamId,
    after: Option<AttemptId>,
    actor: UserId,
) -> Result<Round, ChangeError> {
    tx.plan_for_values().await?;
    // Not the snapshot: results may have been released since, and nobody tells of these grades again. Before the attempts, as whoever
    // releases locks them.
    let exam = exams::share(tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let batch = attempts::lock_closed(tx, id, after, BATCH).await?;
    let Some(last) = batch.last().map(|attempt| attempt.id) else {
        return Ok((None, 0, Vec::new()));
    };
    let count = batch.len();
    let now = attempts::now(&mut **tx).await?;
    let ids = uuids(&batch, |attempt| attempt.id.0);
    let asked: HashSet<QuestionId> = batch
        .iter()
        .flat_map(|attempt| attempt.question_ids.clone())
        .collect();
    let asked: Vec<_> = asked.into_iter().map(|id| id.0).collect();
    let present: HashMap<QuestionId, Question> = questions::present(&mut **tx, &asked)
        .await?
        .into_iter()
        .map(|question| (question.id, question))
        .collect();
    let mut given: HashMap<AttemptId, HashMap<QuestionId, Answer>> = HashMap::new();
    for stored in answers::of_attempts(&mut **tx, &ids).await? {
        given
            .entry(stored.attempt_id)
            .or_default()
            .insert(stored.question_id, stored.answer);
    }
    let mut had: HashMap<AttemptId, Vec<Grade>> = HashMap::new();
    for grade in grades::of_attempts(&mut **tx, &ids).await? {
        had.entry(grade.attempt_id).or_default().push(grade);
    }
    let (mut changed, mut new_grades, mut changes, mut told) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for attempt in batch {
        let revision = snapshots.revision_within(tx, id, attempt.revision).await?;
        let answers = given.remove(&attempt.id).unwrap_or_default();
        let old = had.remove(&attempt.id).unwrap_or_default();
        let new: Vec<Grade> = old
            .iter()
            .map(|before| again(before, &revision, &present, answers.get(&before.question_id)))
            .collect();
        let before = (attempt.score, attempt.passed);
        let moved = rescored(attempt, &new, revision.rules.pass_percent);
        new_grades.extend(new.into_iter().filter(|grade| !old.contains(grade)));
        if before != (moved.score, moved.passed) {
            changes.push(change(&moved, before));
            if moved.state != State::Submitted {
                told.push(events::graded(&moved, &exam, now));
            }
            changed.push(moved);
        }
    }
    grades::store(tx, &new_grades).await?;
    attempts::store(tx, &changed).await?;
    outbox::append_all(tx, &told).await?;
    let entries: Vec<Entry> = changes.iter().map(|change| entry(id, actor, change)).collect();
    audit::append(tx, &entries, now).await?;
    Ok((Some(last), count, changes))
}

/// A grade by the present key, where there still is one of the same kind.
fn again(
    before: &Grade,
    revision: &Revision,
    present: &HashMap<QuestionId, Question>,
    answer: Option<&Answer>,
) -> Grade {
    let asked = revision.question(before.question_id);
    let key = present
        .get(&before.question_id)
        .filter(|key| asked.is_none_or(|asked| asked.content.body.kind() == key.content.body.kind()));
    let Some(key) = key.or(asked).filter(|_| !before.is_manual) else {
        return before.clone();
    };
    Grade {
        question_version: key.version,
        score: grade(key, answer, revision.rules.penalty()),
        max_score: key.content.points,
        ..before.clone()
    }
}

fn change(attempt: &Attempt, old: (Option<Score>, Option<bool>)) -> Change {
    Change {
        attempt_id: attempt.id,
        user_id: attempt.user_id,
        old,
        new: (attempt.score, attempt.passed),
    }
}

fn entry(exam: ExamId, actor: UserId, change: &Change) -> Entry {
    Entry {
        exam_id: exam,
        attempt_id: Some(change.attempt_id),
        actor_id: actor,
        action: "regraded",
        detail: json!({"from": change.old.0, "to": change.new.0}),
    }
}
