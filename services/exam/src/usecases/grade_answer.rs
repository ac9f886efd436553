use access_token::Caller;
use event_bus::outbox;
use postgres::problem_of;
use problem::{Problem, codes};
use serde_json::json;
use typed_id::{AttemptId, QuestionId};

use super::close_attempt::{Paper, rescored};
use super::{ChangeError, events};
use crate::app::Exams;
use crate::domain::attempt::State;
use crate::domain::score::Score;
use crate::storage::attempts::{self, Attempt};
use crate::storage::audit::{self, Entry};
use crate::storage::exams;
use crate::storage::grades::{self, Grade};
use crate::storage::users;

/// Grades an answer by hand, as staff.
pub async fn grade_answer(
    app: &Exams,
    caller: &Caller,
    id: AttemptId,
    question: QuestionId,
    score: Score,
    comment: String,
) -> Result<Attempt, Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let found = attempts::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let known = found.ok_or_else(not_found)?;
    match app.roster.staff_course(caller, known.course_id).await {
        Err(problem) if problem.code() == &codes::PERMISSION_DENIED => return Err(not_found()),
        staff => staff?,
    };
    let paper = Paper::of(&app.snapshots, &known).await?;
    let Some(asked) = paper
        .revision
        .question(question)
        .filter(|_| known.question_ids.contains(&question))
    else {
        return Err(not_found());
    };
    let max_score = asked.content.points;
    if score < Score::ZERO || score > max_score {
        return Err(Problem::invalid_field(
            "score",
            "number.range",
            format!("has to be between 0 and {}", max_score.points()),
        ));
    }
    let version = asked.version;
    let actor = caller.user()?.id;
    let graded = app.db.write(move |mut tx| async move {
        // Not the snapshot: results may have been released since, and nobody tells of this grade again. Before the attempt, as whoever
        // releases locks them.
        let exam = exams::share(&mut tx, known.exam_id).await?;
        let exam = exam.ok_or(sqlx::Error::RowNotFound)?;
        let attempt = attempts::lock(&mut tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        if attempt.state == State::Open {
            return Err(Problem::new(&codes::ATTEMPT_OPEN).into());
        }
        let now = attempts::now(&mut *tx).await?;
        // Asked under the lock, which an erasure takes too: nothing is written about somebody who is erased.
        let erased = users::erased(&mut *tx, &[attempt.user_id.0]).await?;
        let comment = if erased.is_empty() { comment } else { String::new() };
        let mut all = grades::of_attempts(&mut *tx, &[id.0]).await?;
        let before = all
            .iter()
            .find(|grade| grade.question_id == question)
            .and_then(|grade| grade.score);
        let grade = Grade {
            attempt_id: id,
            question_id: question,
            question_version: version,
            score: Some(score),
            max_score,
            is_manual: true,
            comment,
        };
        all.retain(|grade| grade.question_id != question);
        all.push(grade.clone());
        let attempt = rescored(attempt, &all, paper.revision.rules.pass_percent);
        grades::store(&mut tx, &[grade]).await?;
        attempts::store(&mut tx, std::slice::from_ref(&attempt)).await?;
        let entry = Entry {
            exam_id: attempt.exam_id,
            attempt_id: Some(id),
            actor_id: actor,
            action: "graded",
            detail: json!({"question_id": question.0, "from": before, "to": score}),
        };
        audit::append(&mut tx, &[entry], now).await?;
        if attempt.state == State::Graded {
            outbox::append(&mut tx, &events::graded(&attempt, &exam, now)).await?;
        }
        Ok::<_, ChangeError>(tx.commit(attempt).await?)
    });
    Ok(graded.await?)
}
