use problem::Problem;
use typed_id::UserId;
use unicode_normalization::UnicodeNormalization;

use super::reach::Reach;
use crate::app::Auth;
use crate::storage::users::{self, User};

/// One page of users; the token is empty on the last one.
#[derive(Debug)]
pub struct Page {
    pub users: Vec<User>,
    pub next_page_token: String,
}

/// Users, newest first, by role, department and part of a name or address, as far as the caller's reach goes. One query.
pub async fn list_users(
    app: &Auth,
    reach: &Reach,
    search: Option<&str>,
    role: Option<&str>,
    department: Option<&str>,
    size: i64,
    token: Option<&str>,
) -> Result<Page, Problem> {
    let search = search
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| text.nfkc().collect::<String>());
    let department = department.or(reach.department());
    if department.is_some_and(|department| !reach.covers(department)) {
        return Ok(Page {
            users: Vec::new(),
            next_page_token: String::new(),
        });
    }
    let scope = format!("users:{search:?}:{role:?}:{department:?}");
    let before: Option<UserId> = app.pages.open(&scope, token)?;
    let mut rows = users::page(
        app.db.primary(),
        search.as_deref(),
        role,
        department,
        before,
        size + 1,
    )
    .await
    .map_err(postgres::problem_of)?;
    let wanted = usize::try_from(size).unwrap_or_default();
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_page_token = match rows.last() {
        Some(last) if more => app.pages.seal(&scope, &last.id),
        _ => String::new(),
    };
    Ok(Page {
        users: rows,
        next_page_token,
    })
}
