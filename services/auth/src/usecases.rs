//! One verb a file; each owns its transaction.

pub mod audit;
mod begin_session;
pub mod change_email;
pub mod change_password;
pub mod confirm_email;
pub mod confirm_password_reset;
pub mod create_user;
mod current_password;
pub mod delete_me;
pub mod delete_user;
mod events;
pub mod export_me;
pub mod export_user;
pub mod finish_oidc;
pub mod grant;
pub mod identities;
pub mod impersonate;
pub mod import_users;
pub mod issue_service_token;
mod link_identity;
pub mod list_departments;
pub mod list_revocations;
pub mod list_users;
pub mod login;
pub mod logout;
pub mod operations;
pub mod paging;
pub mod put_role;
pub mod reach;
pub mod refresh;
pub mod register;
pub mod request_password_reset;
mod revoke;
pub mod second_factor;
pub mod service_accounts;
pub mod sessions;
pub mod start_oidc;
mod tries;
pub mod update_user;
pub mod user_sessions;
pub mod verify_email;
pub mod withdraw_key;

pub use events::registered as registered_event;

use std::collections::HashMap;

use problem::{Problem, codes};
use typed_id::UserId;

use crate::app::Auth;
use crate::domain::email;
use crate::storage::users::{self, User};
use crate::usecases::reach::Reach;

/// The account, which has to be there.
pub async fn user(app: &Auth, id: UserId) -> Result<User, Problem> {
    let found = users::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

/// The account, as far as the caller's reach goes.
pub async fn user_within(app: &Auth, reach: &Reach, id: UserId) -> Result<User, Problem> {
    let found = users::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?;
    reach.find(found)
}

/// Accounts by id, for projections of others; unknown ids are left out.
pub async fn users_by_id(app: &Auth, ids: &[UserId]) -> Result<Vec<User>, Problem> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    users::by_ids(app.db.primary(), &ids)
        .await
        .map_err(postgres::problem_of)
}

/// Accounts by whatever spelling of their addresses, each with the one that was asked for; unknown ones are left out.
pub async fn users_by_email(app: &Auth, asked: Vec<String>) -> Result<Vec<(String, User)>, Problem> {
    let keys: Vec<String> = asked.iter().map(|address| email::key(address)).collect();
    let found = users::by_emails(app.db.primary(), &keys)
        .await
        .map_err(postgres::problem_of)?;
    let found: HashMap<String, User> = found
        .into_iter()
        .map(|user| (email::key(&user.email), user))
        .collect();
    let asked = asked.into_iter().zip(&keys);
    Ok(asked
        .filter_map(|(asked, key)| Some((asked, found.get(key)?.clone())))
        .collect())
}
