use std::collections::HashMap;

use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{AttemptId, ExamId, QuestionId, UserId};
use uuid::Uuid;

use super::get_attempt::check_reader;
use super::{Page, Paging, page};
use crate::app::Exams;
use crate::domain::attempt::State;
use crate::domain::final_score::Final;
use crate::domain::policy::may_review;
use crate::domain::question::Question;
use crate::domain::revision::Revision;
use crate::storage::answers::{self, Stored};
use crate::storage::attempts::{self, Attempt, Listed};
use crate::storage::finals::{self, Sitting};
use crate::storage::grades::{self, Grade};
use crate::storage::{questions, users};

/// A question of a result.
pub struct Reviewed {
    pub question: Question,
    pub answer: Option<Stored>,
    pub grade: Option<Grade>,
}

/// An attempt's outcome, as far as whoever asks may know it.
pub struct Outcome {
    pub attempt: Attempt,
    pub exam_title: String,
    pub full_name: Option<String>,
    /// Whether score and keys may be seen.
    pub is_open: bool,
    pub questions: Vec<Reviewed>,
    pub attempt_scoring: String,
    /// What counts of the student's attempts at the exam, once it may be known and there is something.
    pub result: Option<Final>,
}

/// The result of one attempt.
pub async fn get_result(app: &Exams, caller: &Caller, id: AttemptId) -> Result<Outcome, Problem> {
    let found = attempts::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let attempt = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    let is_staff = check_reader(app, caller, &attempt).await?;
    outcome(app, attempt, is_staff).await
}

/// The outcome for staff, or for the student as the review policy of the exam allows.
pub async fn outcome(app: &Exams, mut attempt: Attempt, is_staff: bool) -> Result<Outcome, Problem> {
    let db = app.db.primary();
    let stored = answers::of_attempts(db, &[attempt.id.0])
        .await
        .map_err(problem_of)?;
    let (full_name, now) = users::name_and_now(db, attempt.user_id)
        .await
        .map_err(problem_of)?;
    let exam = app.snapshots.exam(attempt.exam_id).await?;
    if !attempt.state.is_over() {
        // It is counted at the hand-in.
        attempt.answered = answers::answered(&stored);
    }
    let policy = exam.review_policy.as_str();
    let somebody_sits = policy == "after_close"
        && attempts::any_open(db, attempt.exam_id)
            .await
            .map_err(problem_of)?;
    let allowed = may_review(policy, exam.closes_at, now, somebody_sits);
    let is_open = attempt.state.is_over() && (is_staff || allowed);
    let sitting = (attempt.exam_id, attempt.user_id);
    let mut result = None;
    if is_staff || allowed {
        let mut found = finals::of(db, &[sitting]).await.map_err(problem_of)?;
        result = found.remove(&sitting);
    }
    let questions = if is_open {
        review(app, &attempt, stored).await?
    } else {
        Vec::new()
    };
    Ok(Outcome {
        exam_title: exam.title.clone(),
        attempt_scoring: exam.attempt_scoring.clone(),
        attempt,
        full_name,
        is_open,
        questions,
        result,
    })
}

/// The questions of an attempt, with what was answered and what it was graded as.
async fn review(app: &Exams, attempt: &Attempt, stored: Vec<Stored>) -> Result<Vec<Reviewed>, Problem> {
    let graded_by = app.snapshots.revision(attempt.exam_id, attempt.revision).await?;
    let mut grades: HashMap<_, Grade> = grades::of_attempts(app.db.primary(), &[attempt.id.0])
        .await
        .map_err(problem_of)?
        .into_iter()
        .map(|grade| (grade.question_id, grade))
        .collect();
    let mut answers: HashMap<_, Stored> = stored.into_iter().map(|a| (a.question_id, a)).collect();
    let regraded = regraded(app, &graded_by, &grades).await?;
    let mut reviewed = Vec::new();
    for id in &attempt.question_ids {
        let Some(question) = regraded.get(id).or_else(|| graded_by.question(*id)) else {
            continue;
        };
        reviewed.push(Reviewed {
            question: question.clone(),
            answer: answers.remove(id),
            grade: grades.remove(id),
        });
    }
    Ok(reviewed)
}

/// Questions that a regrade took in another version than the attempt's revision has, as they were then: they may have changed since.
async fn regraded(
    app: &Exams,
    revision: &Revision,
    grades: &HashMap<QuestionId, Grade>,
) -> Result<HashMap<QuestionId, Question>, Problem> {
    let versions: Vec<_> = grades
        .values()
        .filter(|grade| {
            revision
                .question(grade.question_id)
                .is_none_or(|question| question.version != grade.question_version)
        })
        .map(|grade| (grade.question_id, grade.question_version))
        .collect();
    if versions.is_empty() {
        return Ok(HashMap::new());
    }
    let found = questions::at_versions(app.db.primary(), &versions)
        .await
        .map_err(problem_of)?;
    Ok(found
        .into_iter()
        .map(|question| (question.id, question))
        .collect())
}

fn listed(listed: Listed, finals: &HashMap<Sitting, Final>, is_staff: bool, now: OffsetDateTime) -> Outcome {
    let allowed = is_staff || may_review(&listed.review_policy, listed.closes_at, now, listed.somebody_sits);
    let result = finals.get(&(listed.attempt.exam_id, listed.attempt.user_id));
    Outcome {
        is_open: listed.attempt.state.is_over() && allowed,
        result: result.filter(|_| allowed).cloned(),
        attempt: listed.attempt,
        exam_title: listed.exam_title,
        attempt_scoring: listed.attempt_scoring,
        full_name: listed.full_name,
        questions: Vec::new(),
    }
}

/// Counts what is answered of attempts that are open, as at their hand-in.
pub(super) async fn count_answers(app: &Exams, rows: &mut [Listed]) -> Result<(), Problem> {
    let is_open = |row: &Listed| !row.attempt.state.is_over();
    let open: Vec<Uuid> = rows
        .iter()
        .filter(|row| is_open(row))
        .map(|row| row.attempt.id.0)
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let counts = answers::answered_of(app.db.primary(), &open)
        .await
        .map_err(problem_of)?;
    for row in rows.iter_mut().filter(|row| is_open(row)) {
        row.attempt.answered = counts.get(&row.attempt.id).copied().unwrap_or_default();
    }
    Ok(())
}

async fn finals_of(app: &Exams, rows: &[Listed]) -> Result<HashMap<Sitting, Final>, Problem> {
    let sittings: Vec<Sitting> = rows
        .iter()
        .map(|row| (row.attempt.exam_id, row.attempt.user_id))
        .collect();
    finals::of(app.db.primary(), &sittings).await.map_err(problem_of)
}

/// The caller's attempts that are over, newest first. Two queries, and the database's time.
pub async fn list_mine(app: &Exams, caller: &Caller, paging: Paging) -> Result<Page<Outcome>, Problem> {
    let user = caller.user()?.id;
    let scope = format!("results:mine:{user}");
    let before: Option<AttemptId> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = attempts::page_of_user(app.db.primary(), user, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    let finals = finals_of(app, &rows).await?;
    let now = attempts::now(app.db.primary()).await.map_err(problem_of)?;
    let outcomes = rows
        .into_iter()
        .map(|row| listed(row, &finals, false, now))
        .collect();
    Ok(page(app, &scope, outcomes, paging.size, |outcome: &Outcome| {
        outcome.attempt.id
    }))
}

/// All attempts at an exam, or those of one state, newest first, for its staff.
pub async fn list_of_exam(
    app: &Exams,
    caller: &Caller,
    id: ExamId,
    state: Option<State>,
    paging: Paging,
) -> Result<Page<Outcome>, Problem> {
    let exam = super::exams::for_staff(app, caller, id).await?;
    let scope = format!("results:exam:{}:{state:?}", exam.id);
    let before: Option<AttemptId> = app.pages.open(&scope, paging.token.as_deref())?;
    let fetch = || attempts::page_of_exam(app.db.primary(), id, state, before, paging.size + 1);
    let mut rows = fetch().await.map_err(problem_of)?;
    let nameless: Vec<UserId> = rows
        .iter()
        .filter(|row| row.full_name.is_none())
        .map(|row| row.attempt.user_id)
        .collect();
    if !nameless.is_empty() && app.roster.learn_names(&nameless).await {
        rows = fetch().await.map_err(problem_of)?;
    }
    count_answers(app, &mut rows).await?;
    let finals = finals_of(app, &rows).await?;
    let now = attempts::now(app.db.primary()).await.map_err(problem_of)?;
    let outcomes = rows
        .into_iter()
        .map(|row| listed(row, &finals, true, now))
        .collect();
    Ok(page(app, &scope, outcomes, paging.size, |outcome: &Outcome| {
        outcome.attempt.id
    }))
}

impl Outcome {
    /// The score, once somebody may know it and there is one.
    pub fn visible_score(&self) -> Option<crate::domain::score::Score> {
        self.attempt
            .score
            .filter(|_| self.is_open && self.attempt.state != State::Submitted)
    }
}
