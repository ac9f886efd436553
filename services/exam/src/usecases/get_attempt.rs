use std::sync::Arc;

use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{AttemptId, ExamId};

use super::{Page, Paging, page};
use crate::app::Exams;
use crate::domain::revision::Revision;
use crate::storage::answers::{self, Stored};
use crate::storage::attempts::{self, Attempt};
use crate::storage::exams::Exam;

/// An attempt with all that its student may see of it.
pub struct View {
    pub attempt: Attempt,
    pub exam: Arc<Exam>,
    pub revision: Arc<Revision>,
    pub answers: Vec<Stored>,
    /// By the clock that decides its deadline.
    pub server_time: OffsetDateTime,
}

/// One's own attempt, or, as staff, one at an exam of one's course.
pub async fn get_attempt(app: &Exams, caller: &Caller, id: AttemptId) -> Result<View, Problem> {
    let found = attempts::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let attempt = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    check_reader(app, caller, &attempt).await?;
    view(app, attempt).await
}

/// Fills in what belongs to an attempt. Two queries; its questions are in memory.
pub async fn view(app: &Exams, attempt: Attempt) -> Result<View, Problem> {
    let answers = answers::of_attempts(app.db.primary(), &[attempt.id.0])
        .await
        .map_err(problem_of)?;
    Ok(View {
        exam: app.snapshots.exam(attempt.exam_id).await?,
        revision: app.snapshots.revision(attempt.exam_id, attempt.revision).await?,
        server_time: attempts::now(app.db.primary()).await.map_err(problem_of)?,
        answers,
        attempt,
    })
}

/// The owner reads it, and the staff of its course; to anybody else there is no such attempt. Tells whether it is staff who reads.
pub async fn check_reader(app: &Exams, caller: &Caller, attempt: &Attempt) -> Result<bool, Problem> {
    if attempt.user_id == caller.user()?.id {
        return Ok(false);
    }
    match app.roster.staff_course(caller, attempt.course_id).await {
        Ok(_) => Ok(true),
        Err(problem) if problem.code() == &codes::PERMISSION_DENIED => Err(Problem::new(&codes::NOT_FOUND)),
        Err(problem) => Err(problem),
    }
}

/// The caller's attempts at an exam, newest first.
pub async fn list_mine(
    app: &Exams,
    caller: &Caller,
    exam: ExamId,
    paging: Paging,
) -> Result<(Arc<Exam>, Page<Attempt>), Problem> {
    let user = caller.user()?;
    let exam = app.snapshots.exam(exam).await?;
    app.roster.member_course(user, exam.course_id()).await?;
    let scope = format!("attempts:{}:{}", exam.id, user.id);
    let before: Option<i32> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = attempts::page_of_user_at(app.db.primary(), exam.id(), user.id, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    let attempts = page(app, &scope, rows, paging.size, |attempt| attempt.number);
    Ok((exam, attempts))
}
