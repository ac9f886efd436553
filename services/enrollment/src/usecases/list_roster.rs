use access_token::Caller;
use problem::Problem;
use typed_id::{CourseId, EnrollmentId, SectionId, UserId};

use super::list_mine::{Page, Paging, page};
use super::staff_course;
use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::projections;
use crate::storage::enrollments;

/// The roster of a course, newest first, for its staff.
pub async fn list_roster(
    app: &App,
    caller: &Caller,
    course: CourseId,
    status: Option<Status>,
    section: Option<SectionId>,
    paging: Paging,
) -> Result<Page, Problem> {
    staff_course(app, caller, course).await?;
    let scope = format!("enrollments:roster:{course}:{status:?}:{section:?}");
    let before: Option<EnrollmentId> = app.pages.open(&scope, paging.token.as_deref())?;
    let fetch = || {
        let db = app.db.primary();
        enrollments::page_of_course(db, course, status, section, before, paging.size + 1)
    };
    let mut rows = fetch().await.map_err(postgres::problem_of)?;
    let nameless: Vec<UserId> = rows
        .iter()
        .filter(|row| row.full_name.is_none())
        .map(|row| row.enrollment.user_id)
        .collect();
    // A roster without some names is better than none while auth is away.
    if !nameless.is_empty() && projections::ask_users(app, &nameless).await.is_ok() {
        rows = fetch().await.map_err(postgres::problem_of)?;
    }
    Ok(page(app, &scope, rows, paging.size))
}
