use access_token::Caller;
use postgres::problem_of;
use problem::{Problem, codes};
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
    let db = app.db.primary();
    if operations::insert(db, &new).await.map_err(problem_of)? {
        app.wake_workers.notify_one();
        let begun = operations::of_owner(db, new.id, owner).await;
        return begun
            .map_err(problem_of)?
            .ok_or_else(|| Problem::new(&codes::INTERNAL));
    }
    let known = operations::running(db, &new).await.map_err(problem_of)?;
    // It has just come to its end: who asks again gets a new one.
    known.ok_or_else(|| Problem::new(&codes::UNAVAILABLE).with_retry_after(std::time::Duration::from_secs(1)))
}
