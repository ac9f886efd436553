//! `catalog import`: courses from files, streaming into batches, with a report of what did not load and why.

mod read;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use event_bus::outbox;
use indicatif::{ProgressBar, ProgressStyle};
use service_runtime::demo::TEACHER;
use tokio::sync::oneshot;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use crate::app::Catalog;
use crate::domain::text::slug;
use crate::storage::course_lists;
use crate::storage::imports::{self, Imported};
use crate::usecases::{ChangeError, events};
use read::{Fault, Item, read_file};

const BATCH: usize = 500;

#[derive(Debug, clap::Args)]
pub struct ImportArguments {
    /// `.jsonl` (one course a line), `.csv` (with a header), or `.json` (a list, or `results`). Columns: title, description, category,
    /// code, academic_year, published, source_key.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who teaches the courses; the demo teacher when it is not given.
    #[arg(long)]
    teacher_id: Option<Uuid>,
    /// Read and report, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of the items of a file.
#[derive(Debug, Default)]
struct Report {
    read: usize,
    changed: usize,
    faults: Vec<Fault>,
}

#[expect(clippy::print_stdout, reason = "a command's report")]
pub async fn run(app: &Catalog, arguments: &ImportArguments) -> Result<()> {
    let mut stale = Vec::new();
    let outcome = load(app, arguments, &mut stale).await;
    if !stale.is_empty() {
        println!("Redis may still show what was; telling it again, until nobody is shown that");
        app.caching.forget_and_wait(&stale).await;
    }
    outcome
}

/// `stale` are courses of which the cache may still show what was.
#[expect(clippy::print_stdout, reason = "a command's report")]
async fn load(app: &Catalog, arguments: &ImportArguments, stale: &mut Vec<CourseId>) -> Result<()> {
    let teacher = arguments.teacher_id.map_or(TEACHER.id, UserId);
    let mut failed = 0;
    for path in &arguments.files {
        let (items, faults) = read_file(path)?;
        let mut report = Report {
            read: items.len() + faults.len(),
            changed: 0,
            faults,
        };
        let bar = ProgressBar::new(items.len() as u64)
            .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        if !arguments.dry_run {
            for batch in items.chunks(BATCH) {
                let changed = write(app, teacher, batch.to_vec(), stale).await?;
                report.changed += changed.len();
                if !app.caching.try_forget(&changed).await {
                    stale.extend(changed);
                }
                bar.inc(batch.len() as u64);
            }
        }
        bar.finish_and_clear();
        let good = report.read - report.faults.len();
        println!(
            "{}: {good} of {} items load, {} written",
            path.display(),
            report.read,
            report.changed
        );
        for fault in &report.faults {
            println!("  {fault}");
        }
        failed += report.faults.len();
    }
    println!("{failed} items did not load");
    ensure!(!arguments.files.is_empty(), "no files");
    Ok(())
}

/// Writes a batch in one transaction; gives the courses that are new or changed. Where nobody knows whether they are, as the commit has
/// failed or was not answered, they are `stale`.
async fn write(
    app: &Catalog,
    teacher: UserId,
    items: Vec<Item>,
    stale: &mut Vec<CourseId>,
) -> Result<Vec<CourseId>> {
    let now = app.clock.now();
    let (tell, mut told) = oneshot::channel();
    let written = app.db.write(move |mut tx| async move {
        let names: std::collections::BTreeMap<String, String> = items
            .iter()
            .filter(|item| !item.category.is_empty())
            .map(|item| (slug(&item.category), item.category.clone()))
            .collect();
        let ids: Vec<Uuid> = names.iter().map(|_| typed_id::new_uuid(now)).collect();
        let (slugs, names): (Vec<String>, Vec<String>) = names.into_iter().unzip();
        let categories = imports::ensure_categories(&mut tx, &ids, &names, &slugs, now).await?;
        let category_of = |name: &str| {
            categories
                .iter()
                .find(|(known, _)| *known == slug(name))
                .map(|(_, id)| *id)
        };
        let mut batch: Vec<Imported> = Vec::with_capacity(items.len());
        for item in items {
            let course = Imported {
                id: typed_id::new_uuid(now),
                category_id: category_of(&item.category),
                source_key: item.source_key,
                title: item.title,
                description: item.description,
                code: item.code,
                academic_year: item.academic_year,
                published: item.published,
            };
            // Of two with one key in a batch the later counts, as it would across batches.
            match batch
                .iter_mut()
                .find(|known| known.source_key == course.source_key)
            {
                Some(known) => *known = course,
                None => batch.push(course),
            }
        }
        let changed = imports::upsert(&mut tx, teacher, &batch, now).await?;
        let courses = course_lists::by_ids(&mut *tx, &changed).await?;
        let facts: Vec<_> = courses
            .iter()
            .map(|course| events::course_changed(course, "updated"))
            .collect();
        outbox::append_all(&mut tx, &facts).await?;
        let _ = tell.send(changed.clone());
        Ok::<_, ChangeError>(tx.commit(changed).await?)
    });
    let outcome = written.await;
    if outcome.is_err() {
        let unsure: Vec<Uuid> = told.try_recv().unwrap_or_default();
        stale.extend(unsure.into_iter().map(CourseId));
    }
    Ok(outcome?.into_iter().map(CourseId).collect())
}
