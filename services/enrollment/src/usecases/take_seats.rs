//! Enrolments that arrive together are written together (docs/adr/0008): each is judged by itself, in their order.

use std::collections::{HashMap, HashSet};

use event_bus::outbox::{self, Cause};
use postgres::{Database, WriteError, WriteTx};
use problem::{Problem, codes};
use serde_json::{Value, json};
use time::OffsetDateTime;
use typed_id::{CourseId, EnrollmentId, SectionId, UserId};
use uuid::Uuid;

use super::events;
use crate::domain::section::{self, Offer, choose};
use crate::domain::status::Status;
use crate::domain::step::{self, Seats, Step, step};
use crate::storage::courses::{self, Course};
use crate::storage::enrollments::{self, Enrollment};
use crate::storage::sections::Section;
use crate::storage::{enrollment_ends, sections, users};

/// A wish to be in a course.
#[derive(Debug, Clone)]
pub struct Application {
    pub user_id: UserId,
    pub course_id: CourseId,
    pub wish: Wish,
    pub at: OffsetDateTime,
    /// Who asks for it: the student or staff.
    pub actor: UserId,
    /// The request that the event is told to come from.
    pub cause: Cause,
}

/// Where in a course somebody wants to be enrolled, and until when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    pub section: Option<SectionId>,
    /// Of this student alone; the section's end when `None`.
    pub expires_at: Option<OffsetDateTime>,
    /// Staff enrols whom they want; of students an open course, a verified address and completed prerequisites are asked.
    pub is_staff: bool,
}

/// A student's enrolment.
#[derive(Debug, Clone)]
pub struct Enrolled {
    pub enrollment: Enrollment,
    pub course_title: String,
    /// Name and term.
    pub section: Option<(String, String)>,
    /// False when the student was enrolled already.
    pub is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("as far as is known here, the course is not open")]
    NotOpen,
    #[error("as far as is known here, the address is not verified")]
    NotVerified,
    #[error("courses that have to be completed before are not")]
    PrerequisiteMissing(Vec<Uuid>),
    #[error("all seats of the course are taken")]
    CourseFull,
    #[error("the enrolment is suspended")]
    Suspended,
    #[error(transparent)]
    Section(#[from] section::Refusal),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(match refused {
            Refused::Section(refusal) => return refusal.into(),
            Refused::NotOpen => &codes::NOT_FOUND,
            Refused::NotVerified => &codes::EMAIL_NOT_VERIFIED,
            Refused::PrerequisiteMissing(missing) => return prerequisites_missing(&missing, &HashMap::new()),
            Refused::CourseFull => &codes::COURSE_FULL,
            Refused::Suspended => &codes::ENROLLMENT_SUSPENDED,
        })
    }
}

/// 409 that names what is missing; of a course without a title here, the id alone.
pub fn prerequisites_missing(missing: &[Uuid], titles: &HashMap<Uuid, String>) -> Problem {
    let title = |id: &Uuid| titles.get(id).map(String::as_str);
    let members: Vec<Value> = missing
        .iter()
        .map(|id| json!({"id": id.to_string(), "title": title(id).unwrap_or_default()}))
        .collect();
    let problem = Problem::new(&codes::PREREQUISITE_MISSING).with_member("missing_prerequisites", members);
    let named: Vec<&str> = missing.iter().filter_map(title).collect();
    if named.is_empty() {
        return problem;
    }
    let named = named.join(", ");
    problem.with_detail(format!("Complete first: {named}."))
}

impl From<section::Refusal> for Problem {
    fn from(refusal: section::Refusal) -> Self {
        Self::new(match refusal {
            section::Refusal::Unknown => &codes::UNKNOWN_SECTION,
            section::Refusal::Closed => &codes::SECTION_CLOSED,
            section::Refusal::Full => &codes::SECTION_FULL,
            section::Refusal::Required => &codes::SECTION_REQUIRED,
        })
    }
}

pub fn offers(sections: &[Section]) -> Vec<Offer> {
    let all = sections.iter().map(|section| Offer {
        id: section.id,
        ends_at: section.ends_at,
        seats_left: section
            .seat_limit
            .map(|limit| i64::from(limit) - section.seats_taken),
    });
    all.collect()
}

pub type Outcome = Result<Enrolled, Refused>;

type Key = (UserId, CourseId);

/// What is known of the courses and students of a batch, under lock.
struct Known {
    courses: HashMap<CourseId, Course>,
    seats: HashMap<CourseId, Seats>,
    sections: Vec<Section>,
    /// Of each course, with what the batch has taken of them.
    offers: HashMap<CourseId, Vec<Offer>>,
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
    // Course, sections, enrolment: in this order everywhere, or two transactions could wait for each other.
    let sections = sections::lock_of_courses(tx, &ids).await?;
    let enrolled = enrollments::lock(tx, &users, &ids).await?;
    let of_students = |one: &&Application| !one.wish.is_staff;
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
    let mut offers: HashMap<CourseId, Vec<Offer>> = HashMap::new();
    for (section, offer) in sections.iter().zip(self::offers(&sections)) {
        offers.entry(section.course_id).or_default().push(offer);
    }
    Ok(Known {
        seats: seats.collect(),
        sections,
        offers,
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
        let key = (one.user_id, one.course_id);
        let had = self.enrolled.get(&key).map(|had| had.status);
        // Who is in stays in, whatever the course asks for by now.
        if matches!(had, Some(Status::Active | Status::Completed)) {
            return Ok(Step::Stay);
        }
        if !one.wish.is_staff {
            if !course.is_open() {
                return Err(Refused::NotOpen);
            }
            if !self.verified.contains(&one.user_id) {
                return Err(Refused::NotVerified);
            }
            let is_missing = |needed: &&Uuid| !self.completed.contains(&(one.user_id.0, **needed));
            let missing: Vec<Uuid> = course
                .prerequisite_ids
                .iter()
                .filter(is_missing)
                .copied()
                .collect();
            if !missing.is_empty() {
                return Err(Refused::PrerequisiteMissing(missing));
            }
        }
        let (offers, seats) = (
            self.offers.entry(one.course_id),
            self.seats.get_mut(&one.course_id),
        );
        let (offers, seats) = (offers.or_default(), seats.ok_or(Refused::NotOpen)?);
        let is_in = had.is_some_and(|had| !had.may_enroll_again());
        let offer = if is_in {
            None
        } else {
            choose(offers, one.wish.section, one.wish.is_staff, one.at)?
        };
        let taken = match step(had, None, seats) {
            Step::Refuse(step::Refusal::CourseFull) => return Err(Refused::CourseFull),
            Step::Refuse(_) => return Err(Refused::Suspended),
            taken => taken,
        };
        if let Some(left) = offer.and_then(|chosen| offers.iter_mut().find(|one| one.id == chosen.id)) {
            left.seats_left = left.seats_left.map(|left| left - 1);
        }
        self.remember(one, taken, offer);
        Ok(taken)
    }

    /// So that a second tab of the same student, in the same batch, finds the first one's seat.
    fn remember(&mut self, one: &Application, taken: Step, offer: Option<Offer>) {
        let key = (one.user_id, one.course_id);
        let section_id = offer.map(|offer| offer.id);
        let expires_at = one
            .wish
            .expires_at
            .or_else(|| offer.and_then(|offer| offer.ends_at));
        match (taken, self.enrolled.get_mut(&key)) {
            (Step::EnrollAgain, Some(had)) => {
                (had.status, had.section_id, had.expires_at) = (Status::Active, section_id, expires_at);
            }
            (Step::Enroll(status), None) => {
                let enrollment = Enrollment {
                    id: EnrollmentId::new(one.at),
                    user_id: key.0,
                    course_id: key.1,
                    status,
                    version: 1,
                    enrolled_at: one.at,
                    updated_at: one.at,
                    section_id,
                    expires_at,
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
    let (mut new, mut again, mut placed, mut causes) =
        (Vec::new(), Vec::new(), HashMap::new(), HashMap::new());
    let mut now = OffsetDateTime::UNIX_EPOCH;
    for (one, taken) in batch.iter().zip(steps) {
        let key = (one.user_id, one.course_id);
        let Some(enrollment) = known.enrolled.get(&key) else {
            continue;
        };
        match taken {
            Ok(Step::Enroll(_)) => new.push(enrollment.clone()),
            Ok(Step::EnrollAgain) => {
                again.push((enrollment.id, Status::Active));
                placed.insert(enrollment.id, enrollment.clone());
            }
            _ => continue,
        }
        causes.insert(key, (one.actor, one.cause.clone()));
        now = now.max(one.at);
    }
    let mut changed = Vec::new();
    if !new.is_empty() {
        enrollments::insert_all(tx, &new).await?;
        changed.append(&mut new);
    }
    if !again.is_empty() {
        let mut back = enrollments::set_statuses(tx, &again, true, now).await?;
        for one in &mut back {
            if let Some(placed) = placed.get(&one.id) {
                (one.section_id, one.expires_at) = (placed.section_id, placed.expires_at);
            }
        }
        enrollment_ends::place_all(tx, &back).await?;
        changed.append(&mut back);
    }
    let told: Vec<_> = changed
        .iter()
        .filter_map(|enrollment| {
            let course = known.courses.get(&enrollment.course_id)?;
            let (actor, cause) = causes.get(&(enrollment.user_id, enrollment.course_id))?;
            let created = events::created(enrollment, &course.title, Some(*actor));
            Some((created, cause.clone()))
        })
        .collect();
    outbox::append_each(tx, &told).await?;
    if !again.is_empty() {
        changed.extend(complete_returning(tx, &again, known, &causes, now).await?);
    }
    // Of one that was completed at once, the later state.
    Ok(changed
        .into_iter()
        .map(|one| ((one.user_id, one.course_id), one))
        .collect())
}

/// Completes the enrolments of those who come back to a course whose videos they have completed meanwhile, and tells the world. Nobody
/// else is looked at: who was never in a course has watched nothing of it.
async fn complete_returning(
    tx: &mut WriteTx,
    again: &[(EnrollmentId, Status)],
    known: &Known,
    causes: &HashMap<Key, (UserId, Cause)>,
    now: OffsetDateTime,
) -> Result<Vec<Enrollment>, sqlx::Error> {
    let ids: Vec<EnrollmentId> = again.iter().map(|(id, _)| *id).collect();
    let completed = enrollments::complete(tx, &ids, now).await?;
    let told: Vec<_> = completed
        .iter()
        .filter_map(|enrollment| {
            let course = known.courses.get(&enrollment.course_id)?;
            let (_, cause) = causes.get(&(enrollment.user_id, enrollment.course_id))?;
            Some((events::completed(enrollment, &course.title), cause.clone()))
        })
        .collect();
    outbox::append_each(tx, &told).await?;
    Ok(completed)
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
            Err(refused) => return Ok(Err(refused.clone())),
        };
        let key = (one.user_id, one.course_id);
        let enrollment = changed.get(&key).or_else(|| known.enrolled.get(&key));
        let enrollment = enrollment.ok_or(sqlx::Error::RowNotFound)?.clone();
        let course = known
            .courses
            .get(&one.course_id)
            .ok_or(sqlx::Error::RowNotFound)?;
        let section = known
            .sections
            .iter()
            .find(|section| Some(section.id) == enrollment.section_id);
        Ok(Ok(Enrolled {
            enrollment,
            course_title: course.title.clone(),
            section: section.map(|section| (section.name.clone(), section.term.clone())),
            is_new: *taken != Step::Stay,
        }))
    };
    batch.iter().zip(steps).map(answer).collect()
}
