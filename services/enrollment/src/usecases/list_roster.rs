use access_token::Caller;
use problem::Problem;
use typed_id::{CourseId, EnrollmentId, UserId};

use super::list_mine::{Page, Paging, page};
use super::staff_course;
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::enrollments::{self, RosterFilter};

/// The roster of a course, newest first, for its staff. `search` is a part of a name or a whole e-mail address, which auth knows.
pub async fn list_roster(
    app: &App,
    caller: &Caller,
    course: CourseId,
    mut filter: RosterFilter,
    search: Option<&str>,
    paging: Paging,
) -> Result<Page, Problem> {
    staff_course(app, caller, course).await?;
    match search.map(str::trim).filter(|text| !text.is_empty()) {
        Some(email) if email.contains('@') => {
            let found = projections::users_by_email(app, &[email.to_owned()]).await?;
            // Nobody has the nil id.
            filter.user = Some(found.get(email).map_or(UserId(uuid::Uuid::nil()), |user| user.id));
        }
        name => filter.name = name.map(str::to_owned),
    }
    let scope = format!("enrollments:roster:{course}:{filter:?}");
    let before: Option<EnrollmentId> = app.pages.open(&scope, paging.token.as_deref())?;
    let fetch = || enrollments::page_of_course(app.db.primary(), course, &filter, before, paging.size + 1);
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
