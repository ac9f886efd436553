//! Pages of a report as cells.

use spreadsheet::Cell;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use crate::app::Reporting;
use crate::domain::report::ReportKind;
use crate::storage::activity::Place;
use crate::storage::rows::{self, Attempt, Line, Student};

/// Names are asked for by so many.
pub const PAGE: i64 = 500;

/// Behind which row a page begins.
#[derive(Debug, Clone, Copy)]
pub enum After {
    Nothing,
    Student(Uuid),
    Moment(Place),
}

/// Rows, and where the next ones are; `None` behind the last.
pub type Page = (Vec<Vec<Cell>>, Option<After>);

/// What a report is made of.
pub struct Source<'a> {
    pub app: &'a Reporting,
    pub kind: ReportKind,
    pub course: CourseId,
    pub video_count: i64,
}

impl<'a> Source<'a> {
    pub async fn new(app: &'a Reporting, kind: ReportKind, course: CourseId) -> Result<Self, sqlx::Error> {
        Ok(Self {
            app,
            kind,
            course,
            video_count: rows::video_count(app.db.reader().await, course).await?,
        })
    }

    pub async fn page(&self, after: After) -> Result<Page, sqlx::Error> {
        let (student, moment) = match after {
            After::Nothing => (None, None),
            After::Student(id) => (Some(id), None),
            After::Moment(place) => (None, Some(place)),
        };
        match self.kind {
            ReportKind::Enrollments | ReportKind::Progress => self.students(student).await,
            ReportKind::Results => self.attempts(moment).await,
            ReportKind::Activity => self.lines(moment).await,
        }
    }

    async fn students(&self, after: Option<Uuid>) -> Result<Page, sqlx::Error> {
        let mut found = rows::students(self.app.db.reader().await, self.course, after, PAGE).await?;
        let nameless = found.iter().filter(|row| row.full_name.is_none());
        if self.learn(nameless.map(|row| row.user_id)).await {
            found = rows::students(self.app.db.reader().await, self.course, after, PAGE).await?;
        }
        let next = next(&found, |row| After::Student(row.user_id));
        let cells = found.into_iter().map(|row| match self.kind {
            ReportKind::Progress => self.progress(row),
            _ => enrollment(row),
        });
        Ok((cells.collect(), next))
    }

    async fn attempts(&self, after: Option<Place>) -> Result<Page, sqlx::Error> {
        let mut found = rows::attempts(self.app.db.reader().await, self.course, after, PAGE).await?;
        let nameless = found.iter().filter(|row| row.full_name.is_none());
        if self.learn(nameless.filter_map(|row| row.user_id)).await {
            found = rows::attempts(self.app.db.reader().await, self.course, after, PAGE).await?;
        }
        let next = next(&found, |row| After::Moment((row.at, row.id)));
        Ok((found.into_iter().map(attempt).collect(), next))
    }

    async fn lines(&self, after: Option<Place>) -> Result<Page, sqlx::Error> {
        let mut found = rows::lines(self.app.db.reader().await, self.course, after, PAGE).await?;
        let nameless = found.iter().filter(|row| row.full_name.is_none());
        if self.learn(nameless.filter_map(|row| row.user_id)).await {
            found = rows::lines(self.app.db.reader().await, self.course, after, PAGE).await?;
        }
        let next = next(&found, |row| After::Moment((row.at, row.id)));
        Ok((found.into_iter().map(line).collect(), next))
    }

    /// Asks for names that are not known; a report without some names is better than none.
    async fn learn(&self, nameless: impl Iterator<Item = Uuid>) -> bool {
        let mut ids: Vec<UserId> = nameless.map(UserId).collect();
        ids.sort();
        ids.dedup();
        !ids.is_empty() && self.app.roster.learn_names(&ids).await
    }

    fn progress(&self, row: Student) -> Vec<Cell> {
        let percent = match self.video_count {
            0 => Cell::Empty,
            count => Cell::Number(rounded(f64::from(row.videos_completed) * 100.0 / count as f64)),
        };
        vec![
            text(row.user_id.to_string()),
            text(row.full_name.unwrap_or_default()),
            text(row.status),
            Cell::Number(row.videos_completed.into()),
            Cell::Number(self.video_count as f64),
            percent,
            moment(row.course_completed_at),
            moment(row.last_active_at),
        ]
    }
}

fn next<T>(rows: &[T], after: impl Fn(&T) -> After) -> Option<After> {
    rows.last().filter(|_| rows.len() as i64 == PAGE).map(after)
}

fn enrollment(row: Student) -> Vec<Cell> {
    vec![
        text(row.user_id.to_string()),
        text(row.full_name.unwrap_or_default()),
        text(row.status),
        moment(row.enrolled_at),
        moment(row.last_active_at),
    ]
}

fn attempt(row: Attempt) -> Vec<Cell> {
    vec![
        id(row.user_id),
        text(row.full_name.unwrap_or_default()),
        text(row.exam_title.unwrap_or_default()),
        text(row.attempt_id.to_string()),
        moment(Some(row.submitted_at)),
        text(row.submitted_by.unwrap_or_default()),
        row.score_percent
            .map_or(Cell::Empty, |score| Cell::Number(rounded(score))),
        row.passed.map_or(Cell::Empty, |passed| {
            text(if passed { "yes" } else { "no" }.to_owned())
        }),
        moment(row.graded_at),
    ]
}

fn line(row: Line) -> Vec<Cell> {
    vec![
        moment(Some(row.at)),
        text(row.kind),
        id(row.user_id),
        text(row.full_name.unwrap_or_default()),
        text(row.subject_id.to_string()),
        text(row.details.to_string()),
    ]
}

fn text(text: String) -> Cell {
    Cell::Text(text)
}

fn id(id: Option<Uuid>) -> Cell {
    id.map_or(Cell::Empty, |id| text(id.to_string()))
}

fn moment(at: Option<OffsetDateTime>) -> Cell {
    at.and_then(|at| at.format(&Rfc3339).ok())
        .map_or(Cell::Empty, text)
}

/// To the hundredth.
fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}
