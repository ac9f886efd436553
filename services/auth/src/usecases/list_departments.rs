use std::time::Duration;

use cache::{CacheError, Key, LoadFault};
use problem::Problem;

use super::reach::Reach;
use crate::app::Auth;
use crate::storage::users::{self, Department};

/// A-OUT-01.
const TTL: Duration = Duration::from_hours(1);

/// Departments with how many belong to them, as far as the caller's reach goes.
pub async fn list_departments(app: &Auth, reach: &Reach) -> Result<Vec<Department>, Problem> {
    let load = || users::departments(app.db.primary());
    let all: Result<Vec<Department>, CacheError<sqlx::Error>> =
        app.departments.get_or_load(&Key::Departments, TTL, load).await;
    let all = all.map_err(problem_of)?;
    Ok(all
        .into_iter()
        .filter(|department| reach.covers(&department.name))
        .collect())
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
