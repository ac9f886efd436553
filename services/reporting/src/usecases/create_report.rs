use access_token::Caller;
use postgres::problem_of;
use problem::Problem;
use spreadsheet::Format;
use typed_id::{CourseId, new_uuid};

use crate::app::Reporting;
use crate::domain::report::ReportKind;
use crate::storage::operations::{self, NewOperation, Operation};

/// Begins a report, or finds the same one that the caller has made already.
pub async fn create_report(
    app: &Reporting,
    caller: &Caller,
    course: CourseId,
    kind: ReportKind,
    format: Format,
) -> Result<Operation, Problem> {
    app.roster.staff_course(caller, course).await?;
    let (owner, now) = (caller.user()?.id, app.clock.now());
    let new = NewOperation {
        id: new_uuid(now),
        kind: kind.as_str(),
        format: format.as_str(),
        course,
        owner,
        now,
    };
    let begun = operations::begin(app.db.primary(), &new)
        .await
        .map_err(problem_of)?;
    if begun.id == new.id {
        app.wake_workers.notify_one();
    }
    Ok(begun)
}
