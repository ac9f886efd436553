use access_token::Caller;
use contracts::files::v1::File;
use postgres::problem_of;
use problem::Problem;
use question_formats::{Bank, Fault, Format, Limits, read, write_gift};
use time::{Duration, OffsetDateTime};
use typed_id::{CourseId, QuestionId, new_uuid};

use super::ChangeError;
use crate::app::Exams;
use crate::domain::exchange::{from_format, to_format};
use crate::domain::question::Content;
use crate::storage::questions;

const EXPORT_BATCH: i64 = 1_000;

/// What to import and how.
#[derive(Debug, Clone)]
pub struct Source {
    pub format: Format,
    pub bytes: Vec<u8>,
    pub dry_run: bool,
    /// Take what can be read although something cannot.
    pub skip_faulty: bool,
    pub tags: Vec<String>,
}

#[derive(Debug)]
pub struct Report {
    pub found: usize,
    pub imported: usize,
    pub faults: Vec<Fault>,
    pub question_ids: Vec<QuestionId>,
}

/// Imports questions into a course's bank: all or nothing.
pub async fn import_questions(
    app: &Exams,
    caller: &Caller,
    course: CourseId,
    source: Source,
) -> Result<Report, Problem> {
    let course = app.roster.staff_course(caller, course).await?.id;
    let (dry_run, skip_faulty) = (source.dry_run, source.skip_faulty);
    let now = app.clock.now();
    // Megabytes of XML are no work for the threads that serve.
    let reading = tokio::task::spawn_blocking(move || {
        let bank = read(source.format, &source.bytes, &Limits::default());
        checked(bank, &source.tags, now)
    });
    let (questions, faults) = reading.await.map_err(Problem::internal)?;
    let found = questions.len() + faults.len();
    let refused = !faults.is_empty() && !skip_faulty;
    let question_ids: Vec<QuestionId> = questions.iter().map(|(id, _)| *id).collect();
    if dry_run || refused || questions.is_empty() {
        let would = if refused { 0 } else { questions.len() };
        return Ok(Report {
            found,
            imported: would,
            faults,
            question_ids: Vec::new(),
        });
    }
    let author = caller.user()?.id;
    let stored = app.db.write(move |mut tx| async move {
        questions::insert_into_bank(&mut tx, course, &questions, author, now).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    stored.await?;
    Ok(Report {
        found,
        imported: question_ids.len(),
        faults,
        question_ids,
    })
}

/// Our own rules hold for what others wrote, too.
fn checked(bank: Bank, tags: &[String], now: OffsetDateTime) -> (Vec<(QuestionId, Content)>, Vec<Fault>) {
    let (mut questions, mut faults) = (Vec::new(), bank.faults);
    for imported in bank.questions {
        let mut content = from_format(imported.question, || new_uuid(now));
        content.tags.extend(tags.iter().cloned());
        content.tags.sort();
        content.tags.dedup();
        match content.check() {
            Ok(()) => {
                // A millisecond apart: a bank is listed in the order of its ids, and keeps the order of its source.
                let place = i64::try_from(questions.len()).unwrap_or_default();
                questions.push((QuestionId::new(now + Duration::milliseconds(place)), content));
            }
            Err(problem) => {
                let field = problem.fields().first();
                let is_tag = field.is_some_and(|field| field.field == "tags");
                faults.push(Fault {
                    file: imported.file,
                    line: imported.line,
                    code: if is_tag { "invalid_tag" } else { "not_answerable" },
                    message: field.map_or_else(String::new, |field| field.detail.clone()),
                });
            }
        }
    }
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    (questions, faults)
}

/// A course's bank as GIFT.
pub async fn export_questions(
    app: &Exams,
    caller: &Caller,
    course: CourseId,
    tag: Option<&str>,
) -> Result<File, Problem> {
    app.roster.staff_course(caller, course).await?;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let rows = questions::page_of_bank(app.db.primary(), course, tag, after, EXPORT_BATCH)
            .await
            .map_err(problem_of)?;
        let is_last = (rows.len() as i64) < EXPORT_BATCH;
        after = rows.last().map(|row| row.id);
        all.extend(rows.into_iter().map(|row| to_format(row.content.0)));
        if is_last {
            break;
        }
    }
    Ok(File {
        content_type: "text/plain; charset=utf-8".into(),
        name: format!("questions-{course}.gift"),
        content: write_gift(&all).into_bytes(),
        next_part: 0,
    })
}
