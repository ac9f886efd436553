//! Reports are begun in a request and made here, by whichever instance is free; another begins again when that one dies.

use std::sync::Arc;

use object_storage::{StorageError, Writer};
use problem::codes;
use spreadsheet::{Cell, Format, Sheet, SheetError};
use time::Duration;
use tokio_util::sync::CancellationToken;
use typed_id::CourseId;
use uuid::Uuid;

use super::report_rows::{After, Source};
use crate::app::Reporting;
use crate::domain::report::ReportKind;
use crate::storage::operations::{self, Claimed};
use crate::storage::rows;

/// Renewed with each page.
const LEASE: Duration = Duration::seconds(60);
const MAX_TRIES: i32 = 3;
/// Restarts of the process use a claim up as well.
const MAX_CLAIMS: i32 = MAX_TRIES + 5;
const GIVEN_UP: &str = "The report could not be made. Please ask again later.";
/// Before another try.
const PAUSE: Duration = Duration::seconds(5);
const PERIOD: std::time::Duration = std::time::Duration::from_secs(2);
/// The folder of reports.
pub const FOLDER: &str = "reports";

/// Why a report was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    #[error("the file was not kept")]
    Storage(#[from] StorageError),
    #[error("the table is too large for a workbook")]
    Sheet(#[from] SheetError),
    #[error("another instance makes it by now")]
    Overtaken,
    #[error("the process stops")]
    Stopped,
    #[error("it is of no kind that there is")]
    Unknown,
}

impl ReportError {
    /// Trying again cannot help; in words for who asked.
    fn is_final(&self) -> Option<&'static str> {
        match self {
            Self::Sheet(_) => Some("The report is too large for a workbook; ask for CSV."),
            Self::Unknown => Some("There is no such report."),
            _ => None,
        }
    }
}

/// Where a report's file is.
pub fn file_name(id: Uuid, format: Format) -> String {
    format!("{FOLDER}/{id}.{}", format.ending())
}

/// Makes reports until the process stops.
pub async fn run(app: Arc<Reporting>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match work_once(&app, &shutdown).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(fault) => tracing::warn!(error = &fault as &dyn std::error::Error, "no report was taken up"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = app.wake_workers.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Makes one report. False when there is none.
pub async fn work_once(app: &Reporting, stop: &CancellationToken) -> Result<bool, sqlx::Error> {
    let (db, now) = (app.db.primary(), app.clock.now());
    metrics::gauge!("reports_running").set(operations::count_running(db).await? as f64);
    let Some(claimed) = operations::claim(db, now, now + LEASE).await? else {
        return Ok(false);
    };
    let kind = claimed.kind.clone();
    if claimed.tries > MAX_CLAIMS {
        // Whoever takes it up dies of it.
        operations::fail(db, &claimed, GIVEN_UP, app.clock.now()).await?;
        metrics::counter!("reports_total", "kind" => kind, "outcome" => "failed").increment(1);
        return Ok(true);
    }
    let made = app.limits.run(stop, |stop| {
        let claimed = &claimed;
        async move { make(app, claimed, &stop).await }
    });
    let made = match made.await {
        Ok(made) => made,
        Err(overdue) => {
            tracing::warn!(operation = %claimed.id, error = &overdue as &dyn std::error::Error, "a report took too long");
            let fault = codes::OPERATION_TIMEOUT.name;
            operations::fail(db, &claimed, fault, app.clock.now()).await?;
            metrics::counter!("reports_total", "kind" => kind, "outcome" => "failed").increment(1);
            return Ok(true);
        }
    };
    let outcome = match made {
        Ok((rows, bytes)) => {
            operations::succeed(db, &claimed, rows, bytes, app.clock.now()).await?;
            metrics::histogram!("report_seconds", "kind" => kind.clone())
                .record((app.clock.now() - now).as_seconds_f64());
            "made"
        }
        Err(ReportError::Overtaken) => "overtaken",
        Err(ReportError::Stopped) => {
            operations::put_off(db, &claimed, app.clock.now()).await?;
            "stopped"
        }
        Err(fault) => {
            tracing::warn!(
                operation = %claimed.id,
                error = &fault as &dyn std::error::Error,
                "a report was not made"
            );
            let fate = fault
                .is_final()
                .or((claimed.tries >= MAX_TRIES).then_some(GIVEN_UP));
            if let Some(text) = fate {
                operations::fail(db, &claimed, text, app.clock.now()).await?;
                "failed"
            } else {
                let again = app.clock.now() + PAUSE * claimed.tries;
                operations::put_off(db, &claimed, again).await?;
                "put_off"
            }
        }
    };
    metrics::counter!("reports_total", "kind" => kind, "outcome" => outcome).increment(1);
    Ok(true)
}

/// Gives the number of rows and the length of the file.
async fn make(
    app: &Reporting,
    claimed: &Claimed,
    stop: &CancellationToken,
) -> Result<(i32, i64), ReportError> {
    let format: Format = claimed.format.parse().map_err(|_| ReportError::Unknown)?;
    let kind: ReportKind = claimed.kind.parse().map_err(|_| ReportError::Unknown)?;
    let source = Source::new(app, kind, CourseId(claimed.course_id)).await?;
    let mut writer = app.storage.writer(&file_name(claimed.id, format));
    match write(&source, claimed, format, &mut writer, stop).await {
        Ok(rows) => {
            let bytes = writer.finish().await?;
            Ok((rows, i64::try_from(bytes).unwrap_or(i64::MAX)))
        }
        Err(fault) => {
            writer.abort().await?;
            Err(fault)
        }
    }
}

/// Writes page by page: memory holds one page of CSV, however many there are.
async fn write(
    source: &Source<'_>,
    claimed: &Claimed,
    format: Format,
    writer: &mut Writer,
    stop: &CancellationToken,
) -> Result<i32, ReportError> {
    let app = source.app;
    let total = rows::count(app.db.reader().await, source.kind, source.course).await?;
    let total = i32::try_from(total).unwrap_or(i32::MAX);
    let mut sheet = Sheet::new(format);
    let head = source.kind.head().iter();
    sheet.push(
        &head
            .map(|name| Cell::Text((*name).to_owned()))
            .collect::<Vec<_>>(),
    )?;
    let (mut done, mut after) = (0, Some(After::Nothing));
    while let Some(place) = after {
        if stop.is_cancelled() {
            return Err(ReportError::Stopped);
        }
        let until = app.clock.now() + LEASE;
        if !operations::progress(app.db.primary(), claimed, done, total.max(done), until).await? {
            return Err(ReportError::Overtaken);
        }
        let (page, next) = source.page(place).await?;
        for row in &page {
            sheet.push(row)?;
        }
        done += i32::try_from(page.len()).unwrap_or_default();
        writer.write(sheet.take()).await?;
        after = next;
    }
    writer.write(sheet.finish()?).await?;
    Ok(done)
}
