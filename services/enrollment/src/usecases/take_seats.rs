//! Enrolments that arrive together are written together (docs/adr/0008): each is judged by itself, in their order.

use std::collections::{HashMap, HashSet};

use event_bus::outbox::{self, Cause};
use postgres::{Database, WriteError, WriteTx};
use problem::{Problem, codes};
use time::OffsetDateTime;
use typed_id::{CourseId, EnrollmentId, UserId};
use uuid::Uuid;

use super::events;
use crate::domain::status::Status;
use crate::domain::step::{Refusal, Seats, Step, step};
use crate::storage::courses::{self, Course};
use crate::storage::enrollments::{self, Enrollment};
use crate::storage::users;

/// A wish to be in a course.
#[derive(Debug, Clone)]
pub struct Application {
    pub user_id: UserId,
    pub course_id: CourseId,
    pub rules: Rules,
    pub at: OffsetDateTime,
    /// The request that the event is told to come from.
    pub cause: Cause,
}

/// What is asked of the student beside a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// An open course, a verified address, completed prerequisites.
    Student,
    /// Staff enrols whom they want.
    Staff,
}

/// A student's enrolment.
#[derive(Debug, Clone)]
pub struct Enrolled {
    pub enrollment: Enrollment,
    pub course_title: String,
    /// False when the student was enrolled already.
    pub is_new: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("as far as is known here, the course is not open")]
    NotOpen,
    #[error("as far as is known here, the address is not verified")]
    NotVerified,
    #[error("a course that has to be completed before is not")]
    PrerequisiteMissing,
    #[error("all seats of the course are taken")]
    CourseFull,
    #[error("the enrolment is suspended")]
    Suspended,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(match refused {
            Refused::NotOpen => &codes::NOT_FOUND,
            Refused::NotVerified => &codes::EMAIL_NOT_VERIFIED,
            Refused::PrerequisiteMissing => &codes::PREREQUISITE_MISSING,
            Refused::CourseFull => &codes::COURSE_FULL,
            Refused::Suspended => &codes::ENROLLMENT_SUSPENDED,
        })
    }
}

pub type Outcome = Result<Enrolled, Refused>;

type Key = (UserId, CourseId);

/// What is known of the courses and students of a batch, under lock.
struct Known {
    courses: HashMap<CourseId, Course>,
    seats: HashMap<CourseId, Seats>,
    enrolled: HashMap<Key, Enrollment>,
    verified: HashSet<UserId>,
    completed: HashSet<(Uuid, Uuid)>,
}

/// Judges and writes a batch in one transaction; seats are exact, as the rows of the courses are locked.
pub async fn write(db: Database, batch: Vec<Application>) -> Result<Vec<Outcome>, WriteError> {
    db.write(move |mut tx| async move {
        let mut known = look(&mut tx, &batch).await?;
        let steps: Vec<Result<Step, Refused>> = batch.iter().map(|one| known.judge(one)).collect();
        let changed = carry_out(&mut tx, &batch, &steps, &known).await?;
        if changed.is_empty() {
            let outcomes = answers(&batch, &steps, &known, &changed);
            return tx.rollback(outcomes?).await;
        }
        let outcomes = answers(&batch, &steps, &known, &changed)?;
        tx.commit(outcomes).await
    })
    .await
}

async fn look(tx: &mut WriteTx, batch: &[Application]) -> Result<Known, sqlx::Error> {
    let ids: Vec<Uuid> = batch.iter().map(|one| one.course_id.0).collect();
    let users: Vec<Uuid> = batch.iter().map(|one| one.user_id.0).collect();
    let courses: HashMap<CourseId, Course> = courses::lock(tx, &ids)
        .await?
        .into_iter()
        .map(|course| (course.id, course))
        .collect();
    let enrolled = enrollments::lock(tx, &users, &ids).await?;
    let of_students = |one: &&Application| one.rules == Rules::Student;
    let students: Vec<Uuid> = batch
        .iter()
        .filter(of_students)
        .map(|one| one.user_id.0)
        .collect();
    let verified = if students.is_empty() {
        HashSet::new()
    } else {
        users::verified(&mut **tx, &students).await?.into_iter().collect()
    };
    let limited: Vec<Uuid> = courses
        .values()
        .filter(|course| course.seat_limit.is_some())
        .map(|course| course.id.0)
        .collect();
    let taken = if limited.is_empty() {
        HashMap::new()
    } else {
        enrollments::seats_taken(tx, &limited).await?
    };
    let wanted: Vec<Uuid> = courses
        .values()
        .flat_map(|course| course.prerequisite_ids.iter().copied())
        .collect();
    let completed = if wanted.is_empty() {
        HashSet::new()
    } else {
        enrollments::completed(tx, &students, &wanted).await?
    };
    let seats = courses.values().map(|course| {
        let taken = taken.get(&course.id.0).copied().unwrap_or_default();
        (course.id, Seats::left(course.seat_limit, taken))
    });
    Ok(Known {
        seats: seats.collect(),
        enrolled: enrolled
            .into_iter()
            .map(|one| ((one.user_id, one.course_id), one))
            .collect(),
        courses,
        verified,
        completed,
    })
}

impl Known {
    fn judge(&mut self, one: &Application) -> Result<Step, Refused> {
        let course = self.courses.get(&one.course_id).ok_or(Refused::NotOpen)?;
        if one.rules == Rules::Student {
            if !course.is_open() {
                return Err(Refused::NotOpen);
            }
            if !self.verified.contains(&one.user_id) {
                return Err(Refused::NotVerified);
            }
            let has_completed = |course: &Uuid| self.completed.contains(&(one.user_id.0, *course));
            if !course.prerequisite_ids.iter().all(has_completed) {
                return Err(Refused::PrerequisiteMissing);
            }
        }
        let key = (one.user_id, one.course_id);
        let had = self.enrolled.get(&key).map(|had| had.status);
        let seats = self.seats.get_mut(&one.course_id).ok_or(Refused::NotOpen)?;
        match step(had, None, seats) {
            Step::Refuse(Refusal::CourseFull) => Err(Refused::CourseFull),
            Step::Refuse(_) => Err(Refused::Suspended),
            taken => {
                self.remember(key, one.at, taken);
                Ok(taken)
            }
        }
    }

    /// So that a second tab of the same student, in the same batch, finds the first one's seat.
    fn remember(&mut self, key: Key, at: OffsetDateTime, taken: Step) {
        match (taken, self.enrolled.get_mut(&key)) {
            (Step::EnrollAgain, Some(had)) => had.status = Status::Active,
            (Step::Enroll(status), None) => {
                let enrollment = Enrollment {
                    id: EnrollmentId::new(at),
                    user_id: key.0,
                    course_id: key.1,
                    status,
                    version: 1,
                    enrolled_at: at,
                    updated_at: at,
                };
                self.enrolled.insert(key, enrollment);
            }
            _ => {}
        }
    }
}

/// Writes what changes and tells the world. Gives the enrolments that are new.
async fn carry_out(
    tx: &mut WriteTx,
    batch: &[Application],
    steps: &[Result<Step, Refused>],
    known: &Known,
) -> Result<HashMap<Key, Enrollment>, sqlx::Error> {
    let (mut new, mut again, mut causes) = (Vec::new(), Vec::new(), HashMap::new());
    let mut now = OffsetDateTime::UNIX_EPOCH;
    for (one, taken) in batch.iter().zip(steps) {
        let key = (one.user_id, one.course_id);
        let Some(enrollment) = known.enrolled.get(&key) else {
            continue;
        };
        match taken {
            Ok(Step::Enroll(_)) => new.push(enrollment.clone()),
            Ok(Step::EnrollAgain) => again.push((enrollment.id, Status::Active)),
            _ => continue,
        }
        causes.insert(key, one.cause.clone());
        now = now.max(one.at);
    }
    let mut changed = Vec::new();
    if !new.is_empty() {
        enrollments::insert_all(tx, &new).await?;
        changed.append(&mut new);
    }
    if !again.is_empty() {
        changed.extend(enrollments::set_statuses(tx, &again, true, now).await?);
    }
    let told: Vec<_> = changed
        .iter()
        .filter_map(|enrollment| {
            let course = known.courses.get(&enrollment.course_id)?;
            let cause = causes.remove(&(enrollment.user_id, enrollment.course_id))?;
            Some((events::created(enrollment, &course.title), cause))
        })
        .collect();
    outbox::append_each(tx, &told).await?;
    Ok(changed
        .into_iter()
        .map(|one| ((one.user_id, one.course_id), one))
        .collect())
}

fn answers(
    batch: &[Application],
    steps: &[Result<Step, Refused>],
    known: &Known,
    changed: &HashMap<Key, Enrollment>,
) -> Result<Vec<Outcome>, sqlx::Error> {
    let answer = |(one, taken): (&Application, &Result<Step, Refused>)| {
        let taken = match taken {
            Ok(taken) => taken,
            Err(refused) => return Ok(Err(*refused)),
        };
        let key = (one.user_id, one.course_id);
        let enrollment = changed.get(&key).or_else(|| known.enrolled.get(&key));
        let enrollment = enrollment.ok_or(sqlx::Error::RowNotFound)?.clone();
        let course = known
            .courses
            .get(&one.course_id)
            .ok_or(sqlx::Error::RowNotFound)?;
        Ok(Ok(Enrolled {
            enrollment,
            course_title: course.title.clone(),
            is_new: *taken != Step::Stay,
        }))
    };
    batch.iter().zip(steps).map(answer).collect()
}
