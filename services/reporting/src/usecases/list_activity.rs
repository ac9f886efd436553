use access_token::Caller;
use postgres::problem_of;
use problem::Problem;

use crate::app::Reporting;
use crate::storage::activity::{self, Activity, Filter, Place};

/// One page of the log; the token is empty on the last one.
#[derive(Debug)]
pub struct Page {
    pub activities: Vec<Activity>,
    pub next_page_token: String,
}

/// What part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Paging {
    pub size: i64,
    pub token: Option<String>,
}

/// The whole log, newest first. One query.
pub async fn list(app: &Reporting, filter: Filter, paging: Paging) -> Result<Page, Problem> {
    let scope = format!("activity:{filter:?}");
    let before: Option<Place> = app.pages.open(&scope, paging.token.as_deref())?;
    let mut activities = activity::page(app.db.reader().await, &filter, before, paging.size + 1)
        .await
        .map_err(problem_of)?;
    let next_page_token = app
        .pages
        .cut(&scope, &mut activities, paging.size, |last| (last.at, last.id));
    Ok(Page {
        activities,
        next_page_token,
    })
}

/// The log of the course in the filter, for its staff.
pub async fn of_course(
    app: &Reporting,
    caller: &Caller,
    course: typed_id::CourseId,
    filter: Filter,
    paging: Paging,
) -> Result<Page, Problem> {
    app.roster.staff_course(caller, course).await?;
    let filter = Filter {
        course: Some(course),
        ..filter
    };
    list(app, filter, paging).await
}

/// What the log has of the caller.
pub async fn of_caller(
    app: &Reporting,
    caller: &Caller,
    filter: Filter,
    paging: Paging,
) -> Result<Page, Problem> {
    let filter = Filter {
        user: Some(caller.user()?.id),
        without_grades: true,
        ..filter
    };
    list(app, filter, paging).await
}
