use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
use typed_id::{CourseId, ExamId, QuestionId};
use uuid::Uuid;

use super::exams::for_staff;
use super::{ChangeError, Page, Paging, page};
use crate::app::Exams;
use crate::domain::question::Content;
use crate::storage::questions::{self, New, Stored, Version};

/// Where a question is kept.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Exam(ExamId),
    Bank(CourseId),
}

pub async fn create(
    app: &Exams,
    caller: &Caller,
    place: Place,
    order_index: Option<i32>,
    content: Content,
) -> Result<Stored, Problem> {
    let (course_id, exam_id) = match place {
        Place::Exam(exam) => (for_staff(app, caller, exam).await?.course_id(), Some(exam)),
        Place::Bank(course) => (app.roster.staff_course(caller, course).await?.id, None),
    };
    content.check()?;
    let (author, now) = (caller.user()?.id, app.clock.now());
    let new = New {
        id: QuestionId::new(now),
        course_id,
        exam_id,
        order_index,
        content,
    };
    let made = app.db.write(move |mut tx| async move {
        questions::insert(&mut tx, &new, author, now).await?;
        let made = questions::by_id(&mut *tx, new.id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        Ok::<_, ChangeError>(tx.commit(made).await?)
    });
    Ok(made.await?)
}

/// What a question was, version by version, newest first.
pub async fn versions(
    app: &Exams,
    caller: &Caller,
    id: QuestionId,
    paging: Paging,
) -> Result<Page<Version>, Problem> {
    get(app, caller, id).await?;
    let scope = format!("question-versions:{id}");
    let before: Option<i32> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = questions::versions(app.db.primary(), id, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    Ok(page(app, &scope, rows, paging.size, |version| version.version))
}

/// A question, for the staff of its course.
pub async fn get(app: &Exams, caller: &Caller, id: QuestionId) -> Result<Stored, Problem> {
    let found = questions::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let question = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    // To others there is no such question: its very existence may tell something of an exam.
    match app
        .roster
        .staff_course(caller, CourseId(question.course_id))
        .await
    {
        Ok(_) => Ok(question),
        Err(problem) if problem.code() == &codes::PERMISSION_DENIED => Err(Problem::new(&codes::NOT_FOUND)),
        Err(problem) => Err(problem),
    }
}

/// Makes the next version of a question. `edit` makes its content out of the present one.
pub async fn update(
    app: &Exams,
    caller: &Caller,
    id: QuestionId,
    order_index: Option<i32>,
    edit: impl FnOnce(Content) -> Result<Content, Problem> + Send + 'static,
) -> Result<Stored, Problem> {
    get(app, caller, id).await?;
    let (author, now) = (caller.user()?.id, app.clock.now());
    let updated = app.db.write(move |mut tx| async move {
        let before = questions::lock(&mut tx, id)
            .await?
            .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        let tags = before.content.0.tags.clone();
        let content = edit(before.content.0)?;
        if content.tags == tags {
            content.check_but_tags()?;
        } else {
            content.check()?;
        }
        let order_index = order_index.unwrap_or(before.order_index);
        questions::update(&mut tx, id, &content, order_index, author, now).await?;
        let stored = questions::by_id(&mut *tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        Ok::<_, ChangeError>(tx.commit(stored).await?)
    });
    Ok(updated.await?)
}

pub async fn delete(app: &Exams, caller: &Caller, id: QuestionId) -> Result<(), Problem> {
    get(app, caller, id).await?;
    let now = app.clock.now();
    let deleted = app.db.write(move |mut tx| async move {
        questions::delete(&mut tx, id, now).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    Ok(deleted.await?)
}

/// An exam's own questions, in order, with their keys.
pub async fn of_exam(
    app: &Exams,
    caller: &Caller,
    exam: ExamId,
    paging: Paging,
) -> Result<Page<Stored>, Problem> {
    for_staff(app, caller, exam).await?;
    let scope = format!("questions:exam:{exam}");
    let after: Option<(i32, Uuid)> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = questions::page_of_exam(app.db.primary(), exam, after, paging.size + 1)
        .await
        .map_err(problem_of)?;
    Ok(page(app, &scope, rows, paging.size, |q| (q.order_index, q.id)))
}

/// A course's bank, in the order of making, with keys.
pub async fn of_bank(
    app: &Exams,
    caller: &Caller,
    course: CourseId,
    tag: Option<&str>,
    paging: Paging,
) -> Result<Page<Stored>, Problem> {
    app.roster.staff_course(caller, course).await?;
    let scope = format!("questions:bank:{course}:{tag:?}");
    let after: Option<Uuid> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = questions::page_of_bank(app.db.primary(), course, tag, after, paging.size + 1)
        .await
        .map_err(problem_of)?;
    Ok(page(app, &scope, rows, paging.size, |q| q.id))
}
