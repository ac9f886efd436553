use access_token::{Revocation, permissions};
use postgres::WriteError;
use problem::{Problem, codes};
use serde_json::json;

use super::audit::{self, Act};
use super::paging::{Page, Paging};
use super::reach::Reach;
use super::revoke;
use crate::app::Auth;
use crate::storage::roles::{self, Role};
use crate::storage::{service_accounts, users};

const LIST: &str = "roles";

enum Outcome {
    Put(Vec<Revocation>, bool),
    MoreThanCaller,
}

/// Every role, by name.
pub async fn list_roles(app: &Auth, Paging { size, token }: Paging<'_>) -> Result<Page<Role>, Problem> {
    let after: Option<String> = app.pages.open(LIST, token)?;
    let rows = roles::page(app.db.primary(), after.as_deref(), size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Page::cut(app, LIST, rows, size, |role| role.name.clone()))
}

/// Makes or changes a role, and says whether it is new. Its holders' live tokens become void, so that the next ones carry the new
/// permissions.
pub async fn put_role(app: &Auth, reach: &Reach, mut role: Role) -> Result<(Role, bool), Problem> {
    if let Some(unknown) = role
        .permissions
        .iter()
        .find(|p| !permissions::ALL.contains(&p.as_str()))
    {
        return Err(Problem::new(&codes::UNKNOWN_PERMISSION)
            .with_detail(format!("There is no permission {unknown:?}.")));
    }
    let is_unbounded = |p: &String| permissions::UNBOUNDED.contains(&p.as_str());
    if role.department_scoped && (role.name == "admin" || role.permissions.iter().any(is_unbounded)) {
        return Err(Problem::new(&codes::NOT_FOR_A_DEPARTMENT));
    }
    // Who can edit roles must not be able to lock everybody out of editing them, or of seeing what there is to restore.
    for kept in [permissions::ROLES_READ, permissions::ROLES_WRITE] {
        if role.name == "admin" && !role.permissions.iter().any(|own| own == kept) {
            role.permissions.push(kept.to_owned());
        }
    }
    let (reach, ttl) = (reach.clone(), app.settings.access.ttl());
    let wanted = role.clone();
    let put = app.db.write(move |mut tx| async move {
        let before = roles::lock(&mut tx, &wanted.name).await?;
        // Neither what it is nor what it becomes may be more than the caller's own.
        if !reach.holds(&wanted) || before.as_ref().is_some_and(|before| !reach.holds(before)) {
            return tx.rollback(Outcome::MoreThanCaller).await;
        }
        if before.as_ref() == Some(&wanted) {
            return tx.rollback(Outcome::Put(Vec::new(), false)).await;
        }
        let now = tx.clock().now();
        let is_new = roles::put(&mut tx, &wanted, now).await?;
        let act = Act {
            action: "role.changed",
            target_kind: "role",
            target_id: wanted.name.clone(),
            details: json!({
                "permissions": wanted.permissions,
                "require_totp": wanted.require_totp,
                "department_scoped": wanted.department_scoped,
            }),
        };
        audit::record(&mut *tx, reach.actor, act, now).await?;
        // Tokens come with a use of a session, so that only recent ones are live.
        let since = now - ttl - revoke::SLACK;
        let mut holders = users::holders_since(&mut tx, &wanted.name, since).await?;
        holders.extend(service_accounts::of_role_since(&mut tx, &wanted.name, since).await?);
        let entries = revoke::of_users(&holders, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        tx.commit(Outcome::Put(entries, is_new)).await
    });
    let put: Result<_, WriteError> = put.await;
    match put? {
        Outcome::Put(entries, is_new) => {
            revoke::announce(app, &entries).await;
            Ok((role, is_new))
        }
        Outcome::MoreThanCaller => Err(Problem::new(&codes::MORE_THAN_YOURS)),
    }
}
