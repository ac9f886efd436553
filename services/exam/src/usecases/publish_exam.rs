use access_token::Caller;
use postgres::WriteTx;
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{ExamId, UserId};

use super::ChangeError;
use super::exams::for_staff;
use crate::app::Exams;
use crate::domain::revision::Revision;
use crate::storage::exams::{self, Exam};
use crate::storage::questions::{self, Stored};
use crate::storage::revisions;

/// Fixes an exam's questions as they are now, as its next revision.
pub async fn publish_exam(app: &Exams, caller: &Caller, id: ExamId) -> Result<Exam, Problem> {
    for_staff(app, caller, id).await?;
    let (actor, now) = (caller.user()?.id, app.clock.now());
    let published = app.db.write(move |mut tx| async move {
        let exam = publish(&mut tx, id, actor, now).await?;
        Ok::<_, ChangeError>(tx.commit(exam).await?)
    });
    let exam = published.await?;
    app.snapshots.forget_exam(id).await;
    Ok(exam)
}

pub async fn publish(
    tx: &mut WriteTx,
    id: ExamId,
    actor: UserId,
    now: OffsetDateTime,
) -> Result<Exam, ChangeError> {
    let exam = exams::lock(tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    if exam.state == "archived" {
        return Err(Problem::new(&codes::EXAM_ARCHIVED).into());
    }
    let fixed = questions::of_exam(&mut **tx, id).await?;
    let tags: Vec<String> = exam.draw.iter().map(|draw| draw.tag.clone()).collect();
    let pool = questions::of_tags(&mut **tx, exam.course_id(), &tags).await?;
    let revision = Revision {
        rules: exam.rules(),
        fixed: fixed.into_iter().map(Stored::question).collect(),
        pool: pool.into_iter().map(Stored::question).collect(),
        draws: exam.draw.0.clone(),
    };
    let Some(count) = revision.question_count() else {
        return Err(Problem::new(&codes::EXAM_HAS_NO_QUESTIONS).into());
    };
    let exam = Exam {
        state: "published".into(),
        revision: exam.revision + 1,
        question_count: i32::try_from(count).unwrap_or(i32::MAX),
        ..exam
    };
    revisions::insert(tx, id, exam.revision, &revision, actor, now).await?;
    exams::update(tx, &exam, now).await?;
    Ok(exams::by_id(&mut **tx, id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?)
}
