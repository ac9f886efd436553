use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
use serde_json::json;
use typed_id::ExamId;

use super::accommodate::move_deadlines;
use super::{ChangeError, Page, Paging, page, uuids};
use crate::app::Exams;
use crate::storage::accommodation_groups::{self as groups, Group};
use crate::storage::audit::{self, Entry};
use crate::storage::{attempts, exams, users};

/// Gives a group of students more time, at once; who is not named any more is not in it any more.
pub async fn put(app: &Exams, caller: &Caller, id: ExamId, group: Group) -> Result<(), Problem> {
    change(app, caller, id, group.name.clone(), Some(group)).await
}

/// Takes a group away. What its members lose, they lose at once.
pub async fn delete(app: &Exams, caller: &Caller, id: ExamId, name: String) -> Result<(), Problem> {
    change(app, caller, id, name, None).await
}

async fn change(
    app: &Exams,
    caller: &Caller,
    id: ExamId,
    name: String,
    mut group: Option<Group>,
) -> Result<(), Problem> {
    let exam = app.snapshots.exam(id).await?;
    app.roster.staff_course(caller, exam.course_id()).await?;
    let actor = caller.user()?.id;
    let changed = app.db.write(move |mut tx| async move {
        // The exam's row serialises all changes of its deadlines.
        let exam = exams::lock(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        let detail = if let Some(group) = &mut group {
            let erased = users::erased(&mut *tx, &uuids(&group.user_ids, |id| id.0)).await?;
            group.user_ids.retain(|id| !erased.contains(id));
            groups::store(&mut tx, id, group).await?;
            let given = group.accommodation;
            json!({"group": name, "extra_seconds": given.extra_seconds, "extra_percent": given.extra_percent, "user_ids": group.user_ids})
        } else {
            if !groups::delete(&mut tx, id, &name).await? {
                return Err(Problem::new(&codes::NOT_FOUND).into());
            }
            json!({"group": name, "deleted": true})
        };
        let now = attempts::now(&mut *tx).await?;
        let entry = Entry {
            exam_id: id,
            attempt_id: None,
            actor_id: actor,
            action: "accommodated",
            detail,
        };
        audit::append(&mut tx, &[entry], now).await?;
        // All of the exam's: members came and went.
        move_deadlines(&mut tx, &exam, None, actor, now).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    Ok(changed.await?)
}

/// The groups of an exam, by name.
pub async fn list(app: &Exams, caller: &Caller, id: ExamId, paging: Paging) -> Result<Page<Group>, Problem> {
    let exam = app.snapshots.exam(id).await?;
    app.roster.staff_course(caller, exam.course_id()).await?;
    let scope = format!("accommodation-groups:{id}");
    let after: Option<String> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = groups::page_of_exam(app.db.primary(), id, after.as_deref(), paging.size + 1)
        .await
        .map_err(problem_of)?;
    Ok(page(app, &scope, rows, paging.size, |group| group.name.clone()))
}
