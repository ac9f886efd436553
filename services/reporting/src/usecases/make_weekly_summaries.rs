use std::collections::HashSet;

use contracts::events::v1::WeeklySummaryMade;
use event_bus::outbox;
use postgres::{WriteError, problem_of};
use problem::Problem;
use time::Date;
use uuid::Uuid;

use crate::app::Reporting;
use crate::domain::day;
use crate::storage::summaries::{self, Week};

/// In one transaction.
const BATCH: usize = 500;

/// Tells each teacher of the week before that of `day`, where anything happened; gives their number. Once for each teacher and
/// week, however often it runs.
pub async fn make_weekly_summaries(app: &Reporting, day: Date) -> Result<usize, Problem> {
    let (first, last) = day::week_before(day);
    let weeks = summaries::weeks(app.db.primary(), (first, last))
        .await
        .map_err(problem_of)?;
    let mut told = 0;
    for batch in weeks.chunks(BATCH) {
        let (batch, now) = (batch.to_vec(), app.clock.now());
        let written = app.db.write(move |mut tx| async move {
            let teachers: Vec<Uuid> = batch.iter().map(|week| week.teacher_id).collect();
            let new = summaries::record(&mut *tx, &teachers, first, now)
                .await
                .map_err(WriteError::from)?;
            let new: HashSet<Uuid> = new.into_iter().collect();
            let events: Vec<WeeklySummaryMade> = batch
                .iter()
                .filter(|week| new.contains(&week.teacher_id))
                .map(|week| event(week, first, last))
                .collect();
            outbox::append_all(&mut tx, &events).await?;
            tx.commit(events.len()).await
        });
        let written: Result<usize, WriteError> = written.await;
        told += written?;
    }
    Ok(told)
}

fn event(week: &Week, first: Date, last: Date) -> WeeklySummaryMade {
    WeeklySummaryMade {
        teacher_id: week.teacher_id.to_string(),
        first_day: day::text(first),
        last_day: day::text(last),
        courses: week.courses,
        active_students: week.active_students,
        enrollments: week.enrollments,
        videos_completed: week.videos_completed,
        courses_completed: week.courses_completed,
        attempts_submitted: week.attempts_submitted,
        attempts_graded: week.attempts_graded,
        average_score_percent: week.average_score_percent,
    }
}
