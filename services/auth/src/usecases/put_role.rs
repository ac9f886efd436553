use access_token::permissions;
use problem::{Problem, codes};
use serde_json::json;

use super::audit::{self, Act, Actor};
use super::revoke;
use crate::app::Auth;
use crate::storage::roles::{self, Role};
use crate::storage::users;

/// Every role.
pub async fn list_roles(app: &Auth) -> Result<Vec<Role>, Problem> {
    roles::all(app.db.primary()).await.map_err(postgres::problem_of)
}

/// Makes or changes a role. Its holders' live tokens become void, so that the next ones carry the new permissions.
pub async fn put_role(app: &Auth, actor: Actor, mut role: Role) -> Result<Role, Problem> {
    if let Some(unknown) = role
        .permissions
        .iter()
        .find(|p| !permissions::ALL.contains(&p.as_str()))
    {
        return Err(Problem::new(&codes::UNKNOWN_PERMISSION)
            .with_detail(format!("There is no permission {unknown:?}.")));
    }
    // Who can edit roles must not be able to lock everybody out of editing them.
    if role.name == "admin" && !role.permissions.iter().any(|p| p == permissions::ROLES_WRITE) {
        role.permissions.push(permissions::ROLES_WRITE.to_owned());
    }
    let ttl = app.settings.access.ttl();
    let wanted = role.clone();
    let put = app.db.write(move |mut tx| async move {
        if roles::lock(&mut tx, &wanted.name).await?.as_ref() == Some(&wanted) {
            return tx.rollback(Vec::new()).await;
        }
        let now = tx.clock().now();
        roles::put(&mut tx, &wanted, now).await?;
        let act = Act {
            action: "role.changed",
            target_kind: "role",
            target_id: wanted.name.clone(),
            details: json!({"permissions": wanted.permissions, "require_totp": wanted.require_totp}),
        };
        audit::record(&mut *tx, actor, act, now).await?;
        // Tokens come with a use of a session, so that only recent ones are live.
        let holders = users::holders_since(&mut tx, &wanted.name, now - ttl - revoke::SLACK).await?;
        let entries = revoke::of_users(&holders, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        tx.commit(entries).await
    });
    let entries = put.await?;
    revoke::announce(app, &entries).await;
    Ok(role)
}
