use access_token::Caller;
use postgres::problem_of;
use problem::Problem;
use typed_id::ExamId;
use uuid::Uuid;

use super::exams::for_staff;
use super::{Page, Paging, page};
use crate::app::Exams;
use crate::storage::audit::{self, Recorded};

/// What was done to scores and deadlines of an exam, newest first, for its staff.
pub async fn list_audit(
    app: &Exams,
    caller: &Caller,
    id: ExamId,
    paging: Paging,
) -> Result<Page<Recorded>, Problem> {
    for_staff(app, caller, id).await?;
    let scope = format!("audit:{id}");
    let before: Option<Uuid> = app.pages.open(&scope, paging.token.as_deref())?;
    let rows = audit::page(app.db.primary(), id, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    Ok(page(app, &scope, rows, paging.size, |entry| entry.id))
}
