use std::collections::HashMap;

use access_token::Caller;
use contracts::files::v1::File;
use postgres::problem_of;
use problem::Problem;
use spreadsheet::{Cell, Format};
use time::format_description::well_known::Rfc3339;
use typed_id::{ExamId, UserId};

use super::exams::for_staff;
use crate::app::Exams;
use crate::domain::policy::final_score;
use crate::domain::score::Score;
use crate::storage::attempts::{self, Listed};

const BATCH: i64 = 1_000;

/// All results of an exam as a file.
pub async fn export_results(
    app: &Exams,
    caller: &Caller,
    id: ExamId,
    format: Format,
) -> Result<File, Problem> {
    let exam = for_staff(app, caller, id).await?;
    let (mut all, mut before): (Vec<Listed>, _) = (Vec::new(), None);
    loop {
        let rows = attempts::page_of_exam(app.db.primary(), id, before, BATCH)
            .await
            .map_err(problem_of)?;
        let is_last = (rows.len() as i64) < BATCH;
        before = rows.last().map(|row| row.attempt.id);
        all.extend(rows);
        if is_last {
            break;
        }
    }
    all.sort_by_key(|row| (row.full_name.clone(), row.attempt.user_id, row.attempt.number));
    let mut scores: HashMap<UserId, Vec<Score>> = HashMap::new();
    for row in &all {
        if let Some(score) = row.attempt.score {
            scores.entry(row.attempt.user_id).or_default().push(score);
        }
    }
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
    ];
    let mut rows = vec![head.map(|text| Cell::Text(text.to_owned())).to_vec()];
    for row in all {
        let attempt = row.attempt;
        let moment = |at: Option<time::OffsetDateTime>| {
            Cell::Text(at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default())
        };
        let points = |score: Option<Score>| score.map_or(Cell::Empty, |score| Cell::Number(score.points()));
        let counting = scores
            .get(&attempt.user_id)
            .and_then(|all| final_score(&exam.attempt_scoring, all));
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
            attempt.passed.map_or(Cell::Empty, |passed| {
                Cell::Text(if passed { "yes" } else { "no" }.into())
            }),
            points(counting),
        ]);
    }
    Ok(File {
        content_type: format.content_type().to_owned(),
        name: format!("results-{id}.{}", format.ending()),
        content: spreadsheet::write(format, &rows).map_err(Problem::internal)?,
        next_part: 0,
    })
}
