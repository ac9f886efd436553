use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
use serde_json::json;
use sqlx::types::Json;
use time::OffsetDateTime;
use typed_id::{CourseId, ExamId};
use uuid::Uuid;

use super::accommodate::move_deadlines;
use super::{ChangeError, Page, Paging, page};
use crate::app::Exams;
use crate::domain::revision::Draw;
use crate::storage::attempts;
use crate::storage::audit::{self, Entry};
use crate::storage::exams::{self, Exam};

/// What may change of an exam; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub title: Option<String>,
    pub description: Option<String>,
    /// `Some(None)`: no limit.
    pub time_limit_seconds: Option<Option<i32>>,
    pub opens_at: Option<Option<OffsetDateTime>>,
    pub closes_at: Option<Option<OffsetDateTime>>,
    pub hard_end: Option<bool>,
    pub max_attempts: Option<i32>,
    pub attempt_scoring: Option<String>,
    pub cooldown_seconds: Option<i32>,
    pub shuffle_questions: Option<bool>,
    pub shuffle_options: Option<bool>,
    pub negative_marking: Option<bool>,
    pub wrongs_per_right: Option<i32>,
    pub pass_percent: Option<i32>,
    pub review_policy: Option<String>,
    pub draw: Option<Vec<Draw>>,
}

fn defaults(course: CourseId, now: OffsetDateTime) -> Exam {
    Exam {
        id: ExamId::new(now).0,
        course_id: course.0,
        title: String::new(),
        description: String::new(),
        state: "draft".into(),
        time_limit_seconds: None,
        opens_at: None,
        closes_at: None,
        hard_end: false,
        max_attempts: 1,
        attempt_scoring: "best".into(),
        cooldown_seconds: 0,
        shuffle_questions: false,
        shuffle_options: false,
        negative_marking: false,
        wrongs_per_right: 4,
        pass_percent: 50,
        review_policy: "after_submit".into(),
        draw: Json(Vec::new()),
        version: 1,
        revision: 0,
        question_count: 0,
        created_at: now,
        updated_at: now,
        released_at: None,
    }
}

impl Changes {
    fn apply(self, exam: Exam) -> Result<Exam, Problem> {
        let exam = Exam {
            title: self.title.map_or(exam.title, |title| title.trim().to_owned()),
            description: self.description.unwrap_or(exam.description),
            time_limit_seconds: self.time_limit_seconds.unwrap_or(exam.time_limit_seconds),
            opens_at: self.opens_at.unwrap_or(exam.opens_at),
            closes_at: self.closes_at.unwrap_or(exam.closes_at),
            hard_end: self.hard_end.unwrap_or(exam.hard_end),
            max_attempts: self.max_attempts.unwrap_or(exam.max_attempts),
            attempt_scoring: self.attempt_scoring.unwrap_or(exam.attempt_scoring),
            cooldown_seconds: self.cooldown_seconds.unwrap_or(exam.cooldown_seconds),
            shuffle_questions: self.shuffle_questions.unwrap_or(exam.shuffle_questions),
            shuffle_options: self.shuffle_options.unwrap_or(exam.shuffle_options),
            negative_marking: self.negative_marking.unwrap_or(exam.negative_marking),
            wrongs_per_right: self.wrongs_per_right.unwrap_or(exam.wrongs_per_right),
            pass_percent: self.pass_percent.unwrap_or(exam.pass_percent),
            review_policy: self.review_policy.unwrap_or(exam.review_policy),
            draw: self.draw.map_or(exam.draw, Json),
            ..exam
        };
        if exam.title.is_empty() {
            return Err(Problem::invalid_field(
                "title",
                "string.min_len",
                "has to be at least 1 character",
            ));
        }
        if let (Some(opens), Some(closes)) = (exam.opens_at, exam.closes_at)
            && closes <= opens
        {
            return Err(Problem::invalid_field(
                "closes_at",
                "exam.window",
                "has to be after opens_at",
            ));
        }
        if exam.hard_end && exam.closes_at.is_none() {
            return Err(Problem::invalid_field(
                "hard_end",
                "exam.window",
                "needs closes_at",
            ));
        }
        Ok(exam)
    }
}

pub async fn create(
    app: &Exams,
    caller: &Caller,
    course: CourseId,
    changes: Changes,
) -> Result<Exam, Problem> {
    let course = app.roster.staff_course(caller, course).await?;
    let exam = changes.apply(defaults(course.id, app.clock.now()))?;
    let made = app.db.write(move |mut tx| async move {
        exams::insert(&mut tx, &exam).await?;
        Ok::<_, ChangeError>(tx.commit(exam).await?)
    });
    Ok(made.await?)
}

/// An exam of a course whose staff the caller is.
pub async fn for_staff(app: &Exams, caller: &Caller, id: ExamId) -> Result<Exam, Problem> {
    let found = exams::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let exam = found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    match app.roster.staff_course(caller, exam.course_id()).await {
        Ok(_) => Ok(exam),
        // A draft is nothing to those who may not edit it.
        Err(_) if !exam.is_published() => Err(Problem::new(&codes::NOT_FOUND)),
        Err(problem) => Err(problem),
    }
}

pub async fn update(app: &Exams, caller: &Caller, id: ExamId, changes: Changes) -> Result<Exam, Problem> {
    for_staff(app, caller, id).await?;
    let actor = caller.user()?.id;
    let updated = app.db.write(move |mut tx| async move {
        let before = exams::lock(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        if before.state == "archived" {
            return Err(Problem::new(&codes::EXAM_ARCHIVED).into());
        }
        let (timing, review) = (before.timing(), before.review_policy.clone());
        let scoring = (before.attempt_scoring.clone(), before.pass_percent);
        let exam = changes.apply(before)?;
        let now = attempts::now(&mut *tx).await?;
        // Another end, or another rule: who was told before may have to wait again.
        let exam = Exam {
            released_at: exam.released_at.filter(|_| {
                (exam.closes_at, exam.review_policy.as_str()) == (timing.closes_at, review.as_str())
            }),
            ..exam
        };
        exams::update(&mut tx, &exam, now).await?;
        if (exam.attempt_scoring.as_str(), exam.pass_percent) != (scoring.0.as_str(), scoring.1) {
            // Final scores follow at once.
            let rule = |(scoring, percent): (&str, i32)| json!({"attempt_scoring": scoring, "pass_percent": percent});
            let entry = Entry {
                exam_id: id,
                attempt_id: None,
                actor_id: actor,
                action: "scoring_changed",
                detail: json!({
                    "from": rule((&scoring.0, scoring.1)), "to": rule((&exam.attempt_scoring, exam.pass_percent)),
                }),
            };
            audit::append(&mut tx, &[entry], now).await?;
        }
        if exam.timing() != timing {
            move_deadlines(&mut tx, &exam, None, actor, now).await?;
        }
        let exam = exams::by_id(&mut *tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        Ok::<_, ChangeError>(tx.commit(exam).await?)
    });
    let exam = updated.await?;
    app.snapshots.forget_exam(id).await;
    Ok(exam)
}

/// Archives: nobody begins it any more, and what was done stays.
pub async fn archive(app: &Exams, caller: &Caller, id: ExamId) -> Result<(), Problem> {
    for_staff(app, caller, id).await?;
    let now = app.clock.now();
    let archived = app.db.write(move |mut tx| async move {
        let exam = exams::lock(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        let exam = Exam {
            state: "archived".into(),
            ..exam
        };
        exams::update(&mut tx, &exam, now).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    archived.await?;
    app.snapshots.forget_exam(id).await;
    Ok(())
}

/// An exam and whether staff asks for it.
pub async fn get(app: &Exams, caller: &Caller, id: ExamId) -> Result<(Exam, bool), Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let found = exams::by_id(app.db.primary(), id).await.map_err(problem_of)?;
    let exam = found.ok_or_else(not_found)?;
    let (_, is_staff) = app.roster.member_course(caller.user()?, exam.course_id()).await?;
    if !is_staff && !exam.is_published() {
        return Err(not_found());
    }
    Ok((exam, is_staff))
}

/// Exams of a course, newest first; drafts for staff alone.
pub async fn list(
    app: &Exams,
    caller: &Caller,
    course: CourseId,
    paging: Paging,
) -> Result<(Page<Exam>, bool), Problem> {
    let (_, is_staff) = app.roster.member_course(caller.user()?, course).await?;
    let scope = format!("exams:{course}:{is_staff}");
    let before: Option<Uuid> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = exams::page_of_course(app.db.primary(), course, is_staff, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    Ok((page(app, &scope, rows, paging.size, |exam| exam.id), is_staff))
}
