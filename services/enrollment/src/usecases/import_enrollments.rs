use std::collections::{HashMap, HashSet};

use access_token::Caller;
use contracts::events::v1::EnrollmentCreated;
use event_bus::outbox;
use people_files::{CourseRef, EnrollmentRow, Enrollments, RowFault};
use postgres::WriteTx;
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{CourseId, EnrollmentId, UserId};
use uuid::Uuid;

use super::complete_enrollments::complete_again;
use super::{events, staff_course_in_use};
use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::domain::step::{Refusal, Seats, Step, step};
use crate::projections;
use crate::storage::courses::{self, Course};
use crate::storage::enrollments::{self, Enrollment};
use crate::storage::users::{self, User};

/// A larger file is refused: its report would not fit into an answer.
const MAX_ROWS: usize = 20_000;
/// Rows of one transaction, in which other enrolments of the course wait.
const BATCH: usize = 500;

/// A file to import and how.
#[derive(Debug)]
pub struct Source {
    pub bytes: Vec<u8>,
    /// What the file calls the course.
    pub course_code: Option<String>,
    pub dry_run: bool,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReport {
    pub line: u64,
    pub email: String,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
    Refused { code: &'static str, detail: String },
}

impl Outcome {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Refused { .. } => "refused",
        }
    }

    /// Code and detail of a refusal.
    pub fn reason(&self) -> (&'static str, &str) {
        match self {
            Self::Refused { code, detail } => (code, detail),
            _ => ("", ""),
        }
    }

    fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Refused { code, detail }
    }

    fn of(step: Step) -> Self {
        let known = |code: &problem::Code| Self::refused(code.name, code.en);
        match step {
            Step::Stay => Self::Unchanged,
            Step::Enroll(_) => Self::Created,
            Step::EnrollAgain | Step::Move { .. } => Self::Updated,
            Step::Refuse(Refusal::CourseFull) => known(&codes::COURSE_FULL),
            Step::Refuse(Refusal::Suspended) => known(&codes::ENROLLMENT_SUSPENDED),
            Step::Refuse(Refusal::Illegal { from, to }) => {
                let detail = format!("An enrolment that is {from} cannot become {to}.");
                Self::refused(codes::ILLEGAL_TRANSITION.name, detail)
            }
        }
    }
}

/// A row that is about this course.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub line: u64,
    pub email: String,
    pub status: Option<Status>,
}

/// Enrols the students of a file as staff of the course, each row by itself, in the order of the file.
pub async fn import_enrollments(
    app: &App,
    caller: &Caller,
    course: CourseId,
    source: Source,
) -> Result<Vec<RowReport>, Problem> {
    let course = staff_course_in_use(app, caller, course).await?;
    let (id, dry_run) = (course.id, source.dry_run);
    // Megabytes of text are no work for the threads that serve.
    let reading = tokio::task::spawn_blocking(move || read(id, &source));
    let (wanted, mut reports) = reading.await.map_err(Problem::internal)??;
    let emails: Vec<String> = wanted.iter().map(|row| row.email.clone()).collect();
    let known = projections::users_by_email(app, &emails).await?;
    let actor = caller.user()?.id;
    reports.extend(apply(app, actor, &course, wanted, &known, dry_run).await?);
    reports.sort_by_key(|report| report.line);
    Ok(reports)
}

/// Rows about the course, and reports on those that are not taken.
fn read(course: CourseId, source: &Source) -> Result<(Vec<Wanted>, Vec<RowReport>), Problem> {
    let unreadable = |fault: RowFault| Problem::invalid_field("content", fault.code, fault.detail);
    let rows: Vec<_> = Enrollments::new(&source.bytes)
        .map_err(unreadable)?
        .take(MAX_ROWS + 1)
        .collect();
    if rows.len() > MAX_ROWS {
        let detail = format!("more than {MAX_ROWS} rows; give them in several files");
        return Err(Problem::invalid_field("content", "too_many_rows", detail));
    }
    let codes: HashSet<&str> = rows
        .iter()
        .filter_map(|row| match &row.as_ref().ok()?.course {
            Some(CourseRef::Code(code)) => Some(code.as_str()),
            _ => None,
        })
        .collect();
    if source.course_code.is_none() && codes.len() > 1 {
        let detail = format!("the file has {} courses: say which of them this is", codes.len());
        return Err(Problem::invalid_field("course_code", "required", detail));
    }
    let (mut wanted, mut reports) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => {
                let (line, email) = (row.line, row.email.clone());
                match want(course, source.course_code.as_deref(), row) {
                    Ok(row) => wanted.push(row),
                    Err(outcome) => reports.push(RowReport { line, email, outcome }),
                }
            }
            Err(fault) => reports.push(RowReport {
                line: fault.line,
                outcome: Outcome::refused(fault.code, fault.detail),
                email: fault.email,
            }),
        }
    }
    Ok((wanted, reports))
}

fn want(course: CourseId, code: Option<&str>, row: EnrollmentRow) -> Result<Wanted, Outcome> {
    let is_here = match &row.course {
        Some(CourseRef::Id(id)) => id.parse() == Ok(course),
        Some(CourseRef::Code(named)) => code.is_none_or(|code| code == named),
        None => true,
    };
    if !is_here {
        return Err(Outcome::refused(
            "other_course",
            "The row is about another course.",
        ));
    }
    if row.role.is_some_and(|role| role != "student") {
        return Err(Outcome::refused("not_a_student", "Only students are enrolled."));
    }
    let status = row.status.map(|status| status.parse()).transpose();
    Ok(Wanted {
        line: row.line,
        email: row.email,
        status: status.map_err(|fault: crate::domain::status::UnknownStatus| {
            Outcome::refused("status_unknown", fault.to_string())
        })?,
    })
}

/// Takes the rows in batches, each a transaction.
pub async fn apply(
    app: &App,
    actor: UserId,
    course: &Course,
    wanted: Vec<Wanted>,
    known: &HashMap<String, User>,
    dry_run: bool,
) -> Result<Vec<RowReport>, Problem> {
    let (mut reports, mut rows) = (Vec::new(), Vec::new());
    let mut first_lines = HashMap::new();
    for row in wanted {
        let outcome = match known.get(&row.email).filter(|user| user.is_active) {
            None => Outcome::refused(codes::UNKNOWN_USER.name, codes::UNKNOWN_USER.en),
            Some(user) => match first_lines.insert(user.id.0, row.line) {
                None => {
                    rows.push((row, user.clone()));
                    continue;
                }
                Some(first) => {
                    first_lines.insert(user.id.0, first);
                    Outcome::refused(
                        "email_repeated",
                        format!("The student is in line {first} already."),
                    )
                }
            },
        };
        reports.push(RowReport {
            line: row.line,
            email: row.email,
            outcome,
        });
    }
    let mut seats = None;
    for batch in rows.chunks(BATCH) {
        let (batch, course, now) = (batch.to_vec(), course.clone(), app.clock.now());
        let planned = app.db.write(move |mut tx| async move {
            let (steps, left) = plan(&mut tx, &course, &batch, seats.filter(|_| dry_run), !dry_run).await?;
            let told = steps
                .iter()
                .zip(batch.iter())
                .map(|((step, _), (row, _))| RowReport {
                    line: row.line,
                    email: row.email.clone(),
                    outcome: Outcome::of(*step),
                });
            let told: Vec<RowReport> = told.collect();
            if dry_run {
                return tx.rollback((told, left)).await;
            }
            let people: Vec<User> = batch.into_iter().map(|(_, user)| user).collect();
            users::upsert(&mut *tx, &people).await?;
            write(&mut tx, actor, &course, &people, &steps, now).await?;
            tx.commit((told, left)).await
        });
        let (told, left) = planned.await?;
        seats = Some(left);
        reports.extend(told);
    }
    Ok(reports)
}

type Planned = (Step, Option<Enrollment>);

/// The step of each row with the enrolment that there is, and the seats that are left then.
async fn plan(
    tx: &mut WriteTx,
    course: &Course,
    batch: &[(Wanted, User)],
    seats: Option<Seats>,
    lock: bool,
) -> Result<(Vec<Planned>, Seats), sqlx::Error> {
    // Always exclusive when it writes: nobody enrols in the course in between.
    let limit = courses::lock_seats(tx, course.id, lock).await?;
    let mut seats = match (seats, limit) {
        (Some(seats), _) => seats,
        (None, None) => Seats::left(None, 0),
        (None, limit) => Seats::left(limit, enrollments::count_seats_taken(tx, course.id).await?),
    };
    let ids: Vec<Uuid> = batch.iter().map(|(_, user)| user.id.0).collect();
    let had = enrollments::of_users(tx, course.id, &ids, lock).await?;
    let mut had: HashMap<UserId, Enrollment> = had.into_iter().map(|one| (one.user_id, one)).collect();
    let steps = batch
        .iter()
        .map(|(row, user)| {
            let had = had.remove(&user.id);
            (
                step(had.as_ref().map(|had| had.status), row.status, &mut seats),
                had,
            )
        })
        .collect();
    Ok((steps, seats))
}

/// Writes the steps and tells the world, as single enrolments do.
async fn write(
    tx: &mut WriteTx,
    actor: UserId,
    course: &Course,
    people: &[User],
    steps: &[Planned],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (mut new, mut later, mut again, mut moves) = (Vec::new(), HashMap::new(), Vec::new(), Vec::new());
    let mut before = HashMap::new();
    for (user, (step, had)) in people.iter().zip(steps) {
        match (step, had) {
            (Step::Enroll(to), _) => {
                new.push(Enrollment {
                    id: EnrollmentId::new(now),
                    user_id: user.id,
                    course_id: course.id,
                    status: Status::Active,
                    version: 1,
                    enrolled_at: now,
                    updated_at: now,
                    section_id: None,
                    expires_at: None,
                });
                if *to != Status::Active {
                    later.insert(user.id, *to);
                }
            }
            (Step::EnrollAgain, Some(had)) => again.push((had.id, Status::Active)),
            (Step::Move { from, to }, Some(had)) => {
                moves.push((had.id, *to));
                before.insert(had.id, *from);
            }
            _ => {}
        }
    }
    let mut created = Vec::new();
    if !new.is_empty() {
        enrollments::insert_all(tx, &new).await?;
        created = new;
        for enrollment in &created {
            if let Some(to) = later.get(&enrollment.user_id) {
                moves.push((enrollment.id, *to));
                before.insert(enrollment.id, Status::Active);
            }
        }
    }
    if !again.is_empty() {
        created.extend(enrollments::set_statuses(tx, &again, true, now).await?);
    }
    if !created.is_empty() {
        let told: Vec<EnrollmentCreated> = created
            .iter()
            .map(|enrollment| events::created(enrollment, &course.title, Some(actor)))
            .collect();
        outbox::append_all(tx, &told).await?;
    }
    if !moves.is_empty() {
        let moved = enrollments::set_statuses(tx, &moves, false, now).await?;
        let told: Vec<_> = moved
            .iter()
            .filter_map(|enrollment| {
                let before = before.get(&enrollment.id)?;
                Some(events::status_changed(
                    enrollment,
                    &course.title,
                    *before,
                    Some(actor),
                ))
            })
            .collect();
        outbox::append_all(tx, &told).await?;
    }
    // Who is active again may have completed all videos meanwhile.
    let let_in = moves.iter().filter(|(_, to)| *to == Status::Active);
    let active: Vec<EnrollmentId> = again.iter().chain(let_in).map(|(id, _)| *id).collect();
    complete_again(tx, &active, &course.title, now).await?;
    Ok(())
}
