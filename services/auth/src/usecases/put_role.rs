use access_token::permissions;
use problem::{Problem, codes};
use typed_id::UserId;

use super::revoke;
use crate::app::Auth;
use crate::storage::roles::{self, Role};
use crate::storage::users;

/// Every role.
pub async fn list_roles(app: &Auth) -> Result<Vec<Role>, Problem> {
    roles::all(app.db.primary()).await.map_err(postgres::problem_of)
}

/// Makes or changes a role. Its holders' tokens become void, so that the next ones carry the new permissions.
pub async fn put_role(app: &Auth, mut role: Role) -> Result<Role, Problem> {
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
    let (now, ttl) = (app.clock.now(), app.settings.access.ttl());
    let stored = role.clone();
    let put = app.db.write(move |mut tx| async move {
        roles::put(&mut tx, &stored, now).await?;
        let holders: Vec<UserId> = users::ids_of_role(&mut tx, &stored.name)
            .await?
            .into_iter()
            .map(UserId)
            .collect();
        let entries = revoke::of_users(&holders, now, ttl);
        revoke::record(&mut tx, &entries).await?;
        tx.commit(entries).await
    });
    let entries = put.await?;
    revoke::announce(app, &entries).await;
    Ok(role)
}
