use std::time::Duration;

use cache::{CacheError, Key, LoadFault};
use problem::Problem;

use super::paging::{Page, Paging};
use super::reach::Reach;
use crate::app::Auth;
use crate::storage::users::{self, Department};

const LIST: &str = "departments";
/// A-OUT-01.
const TTL: Duration = Duration::from_hours(1);

/// Departments with how many belong to them, as far as the caller's reach goes.
pub async fn list_departments(
    app: &Auth,
    reach: &Reach,
    Paging { size, token }: Paging<'_>,
) -> Result<Page<Department>, Problem> {
    let after: Option<String> = app.pages.open(LIST, token)?;
    let load = || users::departments(app.db.primary());
    let all: Result<Vec<Department>, CacheError<sqlx::Error>> =
        app.departments.get_or_load(&Key::Departments, TTL, load).await;
    let all = all.map_err(problem_of)?;
    let wanted = usize::try_from(size + 1).unwrap_or_default();
    let rows = all
        .into_iter()
        .filter(|department| after.as_ref().is_none_or(|after| department.name > *after))
        .filter(|department| reach.covers(&department.name))
        .take(wanted)
        .collect();
    Ok(Page::cut(app, LIST, rows, size, |department| {
        department.name.clone()
    }))
}

/// After a commit that changed who belongs where.
pub async fn forget_departments(app: &Auth) {
    app.departments.invalidate(&[Key::Departments]).await;
}

fn problem_of(fault: CacheError<sqlx::Error>) -> Problem {
    match fault {
        // Who waited for another's query gets what that one got.
        CacheError::Load(fault) => match &*fault {
            LoadFault::Load(fault) => {
                Problem::new(&problem::codes::UNAVAILABLE).with_source(fault.to_string())
            }
            LoadFault::Json(fault) => Problem::internal(fault.to_string()),
        },
        CacheError::Shape(fault) => Problem::internal(fault),
    }
}
