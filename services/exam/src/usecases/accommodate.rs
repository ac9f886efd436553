use std::collections::HashSet;

use access_token::Caller;
use postgres::{WriteTx, problem_of};
use problem::{Problem, codes};
use serde_json::json;
use time::OffsetDateTime;
use typed_id::{ExamId, UserId};
use uuid::Uuid;

use super::{ChangeError, Page, Paging, page, uuids};
use crate::app::Exams;
use crate::domain::attempt::State;
use crate::domain::deadline::{Accommodation, deadline};
use crate::storage::accommodations;
use crate::storage::attempts::{self, Attempt};
use crate::storage::audit::{self, Entry};
use crate::storage::exams::{self, Exam};
use crate::storage::grades;
use crate::storage::users;

/// More time as it is listed.
pub struct Listed {
    pub user_id: UserId,
    pub full_name: String,
    pub accommodation: Accommodation,
}

/// Gives a student more time, at once.
pub async fn put(
    app: &Exams,
    caller: &Caller,
    id: ExamId,
    student: UserId,
    accommodation: Accommodation,
) -> Result<(), Problem> {
    let exam = app.snapshots.exam(id).await?;
    app.roster.staff_course(caller, exam.course_id()).await?;
    let actor = caller.user()?.id;
    if !exists(app, student).await? {
        return Err(Problem::new(&codes::UNKNOWN_USER));
    }
    let given = app.db.write(move |mut tx| async move {
        // The exam's row serialises all changes of its deadlines.
        let exam = exams::lock(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        if !users::erased(&mut *tx, &[student.0]).await?.is_empty() {
            return Err(Problem::new(&codes::UNKNOWN_USER).into());
        }
        accommodations::store(&mut tx, id, student, accommodation).await?;
        let now = attempts::now(&mut *tx).await?;
        let entry = Entry {
            exam_id: id,
            attempt_id: None,
            actor_id: actor,
            action: "accommodated",
            detail: json!({"user_id": student.0, "extra_seconds": accommodation.extra_seconds, "extra_percent": accommodation.extra_percent}),
        };
        audit::append(&mut tx, &[entry], now).await?;
        move_deadlines(&mut tx, &exam, Some(student), actor, now).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    Ok(given.await?)
}

/// Whether there is such a user, whom this service may not have heard of. While auth is away they are believed to exist.
async fn exists(app: &Exams, student: UserId) -> Result<bool, Problem> {
    let known = async || {
        users::names(app.db.primary(), &[student.0])
            .await
            .map_err(problem_of)
    };
    if !known().await?.is_empty() || !app.roster.learn_names(&[student]).await {
        return Ok(true);
    }
    Ok(!known().await?.is_empty())
}

/// Who has more time of their own.
pub async fn list(app: &Exams, caller: &Caller, id: ExamId, paging: Paging) -> Result<Page<Listed>, Problem> {
    let exam = app.snapshots.exam(id).await?;
    app.roster.staff_course(caller, exam.course_id()).await?;
    let scope = format!("accommodations:{id}");
    let after: Option<Uuid> = app.pages.open(&scope, paging.token.as_deref())?;
    let all = accommodations::page_of_exam(app.db.primary(), id, after, paging.size + 1)
        .await
        .map_err(problem_of)?;
    let ids: Vec<_> = all.iter().map(|(user, _)| user.0).collect();
    let mut names = users::names(app.db.primary(), &ids).await.map_err(problem_of)?;
    let listed = all.into_iter().map(|(user_id, accommodation)| Listed {
        user_id,
        full_name: names.remove(&user_id).unwrap_or_default(),
        accommodation,
    });
    Ok(page(
        app,
        &scope,
        listed.collect(),
        paging.size,
        |one: &Listed| one.user_id.0,
    ))
}

/// Computes the deadlines of an exam's attempts anew, of one student or of all. An attempt that the server closed is open again when
/// its new deadline is still to come: more time wins over a hand-in that races it.
pub async fn move_deadlines(
    tx: &mut WriteTx,
    exam: &Exam,
    student: Option<UserId>,
    actor: UserId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let mut all = attempts::lock_extensible(tx, exam.id(), student).await?;
    // Asked under the locks, which an erasure takes too: what it ended stays ended.
    let erased = users::erased(&mut **tx, &uuids(&all, |attempt| attempt.user_id.0)).await?;
    all.retain(|attempt| !erased.contains(&attempt.user_id));
    let given = accommodations::of_exam(&mut **tx, exam.id()).await?;
    let mut busy: HashSet<UserId> = all
        .iter()
        .filter(|attempt| attempt.state == State::Open)
        .map(|attempt| attempt.user_id)
        .collect();
    let (mut changed, mut reopened) = (Vec::new(), Vec::new());
    for attempt in all.into_iter().rev() {
        let accommodation = given.get(&attempt.user_id).copied().unwrap_or_default();
        let ends_at = deadline(attempt.started_at, &exam.timing(), accommodation);
        if ends_at == attempt.deadline {
            continue;
        }
        if attempt.state == State::Open {
            changed.push(Attempt {
                deadline: ends_at,
                ..attempt
            });
        } else if attempt.state.may_reopen(attempt.submitted_by)
            && ends_at.is_none_or(|at| at > now)
            && busy.insert(attempt.user_id)
        {
            reopened.push(Attempt {
                state: State::Open,
                deadline: ends_at,
                submitted_at: None,
                submitted_by: None,
                score: None,
                passed: None,
                receipt: None,
                ..attempt
            });
        }
    }
    grades::delete(tx, &uuids(&reopened, |attempt| attempt.id.0)).await?;
    let entries: Vec<Entry> = changed
        .iter()
        .map(|attempt| (attempt, "deadline_moved"))
        .chain(reopened.iter().map(|attempt| (attempt, "reopened")))
        .map(|(attempt, action)| Entry {
            exam_id: exam.id(),
            attempt_id: Some(attempt.id),
            actor_id: actor,
            action,
            detail: json!({"deadline": attempt.deadline.map(OffsetDateTime::unix_timestamp)}),
        })
        .collect();
    changed.extend(reopened);
    attempts::store(tx, &changed).await?;
    audit::append(tx, &entries, now).await
}
