//! The sections of a course, made and changed by its staff.

use access_token::Caller;
use postgres::{WriteError, problem_of, violated_constraint};
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{CourseId, SectionId};

use super::list_mine::Paging;
use super::staff_course_in_use;
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::courses::Course;
use crate::storage::sections::{self, Section};
use crate::storage::{courses, enrollment_ends};

#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    #[error(transparent)]
    Refused(#[from] Problem),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for SectionError {
    fn from(fault: sqlx::Error) -> Self {
        match violated_constraint(&fault) {
            Some("idx_sections_name") => Problem::new(&codes::SECTION_EXISTS).into(),
            Some("enrollments_section_fkey") => Problem::new(&codes::SECTION_IN_USE).into(),
            _ => Self::Write(fault.into()),
        }
    }
}

impl From<SectionError> for Problem {
    fn from(fault: SectionError) -> Self {
        match fault {
            SectionError::Refused(problem) => problem,
            SectionError::Write(fault) => fault.into(),
        }
    }
}

/// What to change of a section; `None` leaves it, and a moment or a limit of `Some(None)` takes it away.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub name: Option<String>,
    pub term: Option<String>,
    pub starts_at: Option<Option<OffsetDateTime>>,
    pub ends_at: Option<Option<OffsetDateTime>>,
    pub seat_limit: Option<Option<i32>>,
}

impl Changes {
    fn apply(self, section: Section) -> Result<Section, Problem> {
        let section = Section {
            name: self.name.map_or(section.name, |name| name.trim().to_owned()),
            term: self.term.map_or(section.term, |term| term.trim().to_owned()),
            starts_at: self.starts_at.unwrap_or(section.starts_at),
            ends_at: self.ends_at.unwrap_or(section.ends_at),
            seat_limit: self.seat_limit.unwrap_or(section.seat_limit),
            ..section
        };
        if section.name.is_empty() {
            let detail = "has to be at least 1 character";
            return Err(Problem::invalid_field("name", "string.min_len", detail));
        }
        if let (Some(starts), Some(ends)) = (section.starts_at, section.ends_at)
            && ends <= starts
        {
            let detail = "has to be after starts_at";
            return Err(Problem::invalid_field("ends_at", "section.window", detail));
        }
        Ok(section)
    }
}

/// The section and its course, for the staff of that course; nobody else learns that it exists.
async fn of_staff(app: &App, caller: &Caller, id: SectionId) -> Result<Section, Problem> {
    let found = sections::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let section = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    match staff_course_in_use(app, caller, section.course_id).await {
        Ok(_) => Ok(section),
        Err(problem) if problem.code() == &codes::PERMISSION_DENIED => Err(Problem::new(&codes::NOT_FOUND)),
        Err(problem) => Err(problem),
    }
}

pub async fn create(
    app: &App,
    caller: &Caller,
    course: CourseId,
    changes: Changes,
) -> Result<Section, Problem> {
    let course = staff_course_in_use(app, caller, course).await?;
    let now = app.clock.now();
    let section = changes.apply(Section {
        id: SectionId::new(now),
        course_id: course.id,
        name: String::new(),
        term: String::new(),
        starts_at: None,
        ends_at: None,
        seat_limit: None,
        seats_taken: 0,
        created_at: now,
    })?;
    let made = app.db.write(move |mut tx| async move {
        sections::insert(&mut tx, &section).await?;
        Ok::<_, SectionError>(tx.commit(section).await?)
    });
    Ok(made.await?)
}

/// Changes a section. Another end is the end of its enrolments too, but of those that have one of their own.
pub async fn update(app: &App, caller: &Caller, id: SectionId, changes: Changes) -> Result<Section, Problem> {
    let course = of_staff(app, caller, id).await?.course_id;
    let now = app.clock.now();
    let updated = app.db.write(move |mut tx| async move {
        courses::lock_seats(&mut tx, course, false).await?;
        let all = sections::lock_of_courses(&mut tx, &[course.0]).await?;
        let before = all.into_iter().find(|section| section.id == id);
        let before = before.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        let ended_at = before.ends_at;
        let section = changes.apply(before)?;
        sections::update(&mut tx, &section, now).await?;
        if section.ends_at != ended_at {
            enrollment_ends::move_ends(&mut tx, id, ended_at, section.ends_at).await?;
        }
        Ok::<_, SectionError>(tx.commit(section).await?)
    });
    Ok(updated.await?)
}

/// Removes a section that nobody ever was in.
pub async fn delete(app: &App, caller: &Caller, id: SectionId) -> Result<(), Problem> {
    of_staff(app, caller, id).await?;
    let deleted = app.db.write(move |mut tx| async move {
        sections::delete(&mut tx, id).await?;
        Ok::<_, SectionError>(tx.commit(()).await?)
    });
    Ok(deleted.await?)
}

/// Sections of a course, newest first, for everybody who may see the course. One query beside the course's.
pub async fn list(
    app: &App,
    caller: &Caller,
    course: CourseId,
    paging: Paging,
) -> Result<(Vec<Section>, String), Problem> {
    let known = projections::course(app, course, Course::is_open).await?;
    let user = caller.user()?;
    if !known.is_some_and(|course| course.is_open() || super::is_staff(user, &course)) {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    let scope = format!("sections:{course}");
    let before: Option<SectionId> = app.pages.open(&scope, paging.token.as_deref())?;
    let mut rows = sections::page(app.db.primary(), course, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    let next_page_token = app.pages.cut(&scope, &mut rows, paging.size, |last| last.id);
    Ok((rows, next_page_token))
}
