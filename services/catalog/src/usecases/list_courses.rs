use access_token::{Caller, permissions};
use contracts::catalog::v1::ListCoursesResponse;
use problem::{Problem, codes};
use uuid::Uuid;

use crate::app::Catalog;
use crate::domain::text::fold;
use crate::storage::course_lists::{self, Drafts, Filter, Found};
use crate::storage::courses::Course;

/// What part of which list is wanted.
#[derive(Debug, Clone)]
pub struct Query {
    pub search: Option<String>,
    pub filter: Filter,
    pub include_drafts: bool,
    pub size: i64,
    pub token: Option<String>,
}

/// Courses by filter, newest first, or by search, best first. One query, three for a search at most; none for what is cached.
pub async fn list_courses(
    app: &Catalog,
    caller: &Caller,
    mut query: Query,
) -> Result<ListCoursesResponse, Problem> {
    query.search = query
        .search
        .map(|text| fold(text.trim()))
        .filter(|text| !text.is_empty());
    if !query.include_drafts {
        let key = format!(
            "{:?} {:?} {} {:?}",
            query.search, query.filter, query.size, query.token
        );
        // A token that is not ours must not become a key of the cache.
        check_token(app, &query)?;
        return app.caching.list(&key, || page(app, &query)).await;
    }
    query.filter.drafts = match caller {
        Caller::User(user) if user.has(permissions::COURSES_MANAGE) => Drafts::All,
        Caller::User(user) if user.has(permissions::COURSES_WRITE) => Drafts::Of(user.id),
        Caller::User(_) => return Err(Problem::new(&codes::PERMISSION_DENIED)),
        _ => return Err(Problem::new(&codes::UNAUTHENTICATED)),
    };
    page(app, &query).await
}

fn scope(query: &Query) -> String {
    format!("courses:{:?}:{:?}", query.search, query.filter)
}

fn check_token(app: &Catalog, query: &Query) -> Result<(), Problem> {
    let (scope, token) = (scope(query), query.token.as_deref());
    match query.search {
        Some(_) => app.pages.open::<Found>(&scope, token).map(|_| ()),
        None => app.pages.open::<Uuid>(&scope, token).map(|_| ()),
    }
}

async fn page(app: &Catalog, query: &Query) -> Result<ListCoursesResponse, Problem> {
    let (courses, next_page_token) = match &query.search {
        Some(text) => search_page(app, query, text).await?,
        None => plain_page(app, query).await?,
    };
    Ok(ListCoursesResponse {
        courses: courses.into_iter().map(Into::into).collect(),
        next_page_token,
    })
}

async fn plain_page(app: &Catalog, query: &Query) -> Result<(Vec<Course>, String), Problem> {
    let scope = scope(query);
    let before: Option<Uuid> = app.pages.open(&scope, query.token.as_deref())?;
    let mut rows = course_lists::page(app.db.reader().await, &query.filter, before, query.size + 1)
        .await
        .map_err(postgres::problem_of)?;
    let token = app.pages.cut(&scope, &mut rows, query.size, |last| last.id);
    Ok((rows, token))
}

async fn search_page(app: &Catalog, query: &Query, text: &str) -> Result<(Vec<Course>, String), Problem> {
    let scope = scope(query);
    let after: Option<Found> = app.pages.open(&scope, query.token.as_deref())?;
    let db = app.db.reader().await;
    let mut found = course_lists::search(db, text, &query.filter, after, query.size + 1)
        .await
        .map_err(postgres::problem_of)?;
    let token = app.pages.cut(&scope, &mut found, query.size, |last| *last);
    let ids: Vec<Uuid> = found.iter().map(|found| found.id).collect();
    let mut courses = course_lists::by_ids(db, &ids)
        .await
        .map_err(postgres::problem_of)?;
    courses.sort_by_key(|course| ids.iter().position(|id| *id == course.id));
    Ok((courses, token))
}
