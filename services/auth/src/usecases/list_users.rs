use problem::Problem;
use typed_id::UserId;
use unicode_normalization::UnicodeNormalization;

use super::paging::{Page, Paging};
use super::reach::Reach;
use crate::app::Auth;
use crate::storage::users::{self, User};

/// What users are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserFilter<'a> {
    /// Part of a name or address.
    pub search: Option<&'a str>,
    pub role: Option<&'a str>,
    pub department: Option<&'a str>,
    pub is_active: Option<bool>,
}

/// Users, newest first, as far as the caller's reach goes. One query.
pub async fn list_users(
    app: &Auth,
    reach: &Reach,
    filter: UserFilter<'_>,
    Paging { size, token }: Paging<'_>,
) -> Result<Page<User>, Problem> {
    let UserFilter { role, is_active, .. } = filter;
    let search = filter
        .search
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| text.nfkc().collect::<String>());
    let department = filter.department.or(reach.department());
    if department.is_some_and(|department| !reach.covers(department)) {
        return Ok(Page {
            items: Vec::new(),
            next_page_token: String::new(),
        });
    }
    let scope = format!("users:{search:?}:{role:?}:{department:?}:{is_active:?}");
    let before: Option<UserId> = app.pages.open(&scope, token)?;
    let (db, search) = (app.db.primary(), search.as_deref());
    let rows = users::page(db, search, role, department, is_active, before, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Page::cut(app, &scope, rows, size, |user| user.id))
}
