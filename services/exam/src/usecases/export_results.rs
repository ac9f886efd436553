use access_token::Caller;
use contracts::files::v1::File;
use postgres::problem_of;
use problem::Problem;
use spreadsheet::{Cell, Format};
use time::format_description::well_known::Rfc3339;
use typed_id::ExamId;

use super::exams::for_staff;
use super::results::count_answers;
use crate::app::Exams;
use crate::domain::final_score::Final;
use crate::domain::score::Score;
use crate::storage::attempts::{self, Listed};
use crate::storage::finals;

const BATCH: i64 = 1_000;

/// All results of an exam as a file.
pub async fn export_results(
    app: &Exams,
    caller: &Caller,
    id: ExamId,
    format: Format,
) -> Result<File, Problem> {
    for_staff(app, caller, id).await?;
    let (mut all, mut before): (Vec<Listed>, _) = (Vec::new(), None);
    loop {
        let mut rows = attempts::page_of_exam(app.db.primary(), id, None, before, BATCH)
            .await
            .map_err(problem_of)?;
        count_answers(app, &mut rows).await?;
        let is_last = (rows.len() as i64) < BATCH;
        before = rows.last().map(|row| row.attempt.id);
        all.extend(rows);
        if is_last {
            break;
        }
    }
    all.sort_by_key(|row| (row.full_name.clone(), row.attempt.user_id, row.attempt.number));
    let finals = finals::of_exam(app.db.primary(), id).await.map_err(problem_of)?;
    let head = [
        "student_id",
        "full_name",
        "attempt",
        "state",
        "started_at",
        "submitted_at",
        "answered",
        "score",
        "max_score",
        "passed",
        "counting_score",
        "counts",
        "final_percent",
        "final_passed",
    ];
    let mut rows = vec![head.map(|text| Cell::Text(text.to_owned())).to_vec()];
    for row in all {
        let attempt = row.attempt;
        let moment = |at: Option<time::OffsetDateTime>| {
            Cell::Text(at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default())
        };
        let points = |score: Option<Score>| score.map_or(Cell::Empty, |score| Cell::Number(score.points()));
        let verdict = |is_so: Option<bool>| {
            is_so.map_or(Cell::Empty, |is_so| {
                Cell::Text(if is_so { "yes" } else { "no" }.into())
            })
        };
        let found = finals.get(&(attempt.exam_id, attempt.user_id));
        rows.push(vec![
            Cell::Text(attempt.user_id.to_string()),
            Cell::Text(row.full_name.unwrap_or_default()),
            Cell::Number(attempt.number.into()),
            Cell::Text(attempt.state.to_string()),
            moment(Some(attempt.started_at)),
            moment(attempt.submitted_at),
            Cell::Number(attempt.answered.into()),
            points(attempt.score),
            Cell::Number(attempt.max_score.points()),
            verdict(attempt.passed),
            points(found.map(|of| of.score)),
            verdict(found.map(|of| of.counting.contains(&attempt.id))),
            found.and_then(Final::percent).map_or(Cell::Empty, Cell::Number),
            verdict(found.map(|of| of.passed)),
        ]);
    }
    Ok(File {
        content_type: format.content_type().to_owned(),
        name: format!("results-{id}.{}", format.ending()),
        content: spreadsheet::write(format, &rows).map_err(Problem::internal)?,
        next_part: 0,
    })
}
