//! Scheduled work of this service.

use std::sync::Arc;

use access_token::Caller;
use contracts::catalog::v1::Course;
use problem::{Problem, codes};
use service_runtime::Job;
use tokio_util::sync::CancellationToken;
use typed_id::{CourseId, InvalidId};

use crate::app::Catalog;
use crate::storage::course_lists::Filter;
use crate::usecases::get_course::get_course;
use crate::usecases::list_courses::{Query, list_courses};

/// What most visitors look at: this much of the public list, and the courses on it.
const PAGES: usize = 5;

/// C-CAC-09: has the public list and its courses in the cache, every hour.
pub fn warm_up(app: &Arc<Catalog>) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("warm-up", "0 * * * *", move |run| {
        let app = Arc::clone(&app);
        async move {
            let (pages, courses) = warm(&app, run.stop()).await?;
            Ok(format!("{pages} pages and {courses} courses are in the cache"))
        }
    })?
    // What was missed is of no use any more.
    .without_catch_up())
}

/// Asks for pages and courses as visitors do, which loads those that are not cached; gives how many it was.
pub async fn warm(app: &Catalog, stop: &CancellationToken) -> Result<(usize, usize), Problem> {
    let (mut pages, mut courses, mut token) = (0, 0, None);
    while pages < PAGES && !stop.is_cancelled() {
        let query = Query {
            search: None,
            filter: Filter::default(),
            include_drafts: false,
            size: postgres::page_size(None),
            token: token.take(),
        };
        let page = list_courses(app, &Caller::Anonymous, query).await?;
        pages += 1;
        for course in &page.courses {
            courses += usize::from(warm_course(app, course).await?);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
    }
    Ok((pages, courses))
}

/// False when it is not open any more.
async fn warm_course(app: &Catalog, course: &Course) -> Result<bool, Problem> {
    let id: CourseId = course
        .id
        .parse()
        .map_err(|fault: InvalidId| Problem::internal(fault))?;
    match get_course(app, &Caller::Anonymous, id).await {
        Ok(_) => Ok(true),
        Err(problem) if problem.code() == &codes::NOT_FOUND => Ok(false),
        Err(problem) => Err(problem),
    }
}
