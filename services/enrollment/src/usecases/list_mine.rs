use access_token::Caller;
use problem::Problem;
use typed_id::EnrollmentId;

use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::storage::enrollments::{self, Listed};

/// What part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Paging {
    pub size: i64,
    pub token: Option<String>,
}

/// One page of enrolments; the token is empty on the last one.
#[derive(Debug)]
pub struct Page {
    pub enrollments: Vec<Listed>,
    pub next_page_token: String,
}

/// The caller's enrolments, newest first. One query.
pub async fn list_mine(
    app: &App,
    caller: &Caller,
    status: Option<Status>,
    paging: Paging,
) -> Result<Page, Problem> {
    let user = caller.user()?.id;
    let scope = format!("enrollments:mine:{user}:{status:?}");
    let before: Option<EnrollmentId> = app.pages.open(&scope, paging.token.as_deref())?;
    // The newest word wins over a replica here: the list is where one looks after enrolling.
    let rows = enrollments::page_of_user(app.db.primary(), user, status, before, paging.size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(page(app, &scope, rows, paging.size))
}

/// Cuts the one row too many and makes the token of the next page from the last one shown.
pub(super) fn page(app: &App, scope: &str, mut rows: Vec<Listed>, size: i64) -> Page {
    let next_page_token = app.pages.cut(scope, &mut rows, size, |last| last.enrollment.id);
    Page {
        enrollments: rows,
        next_page_token,
    }
}
