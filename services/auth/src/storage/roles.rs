use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub permissions: Vec<String>,
    /// Holders without a second factor get none of the permissions.
    pub require_totp: bool,
    /// Holders see and edit users of their own department alone.
    pub department_scoped: bool,
}

/// The role, and nobody changes it before the transaction ends; others may look on.
pub async fn share(db: &mut PgConnection, name: &str) -> Result<Option<Role>, sqlx::Error> {
    sqlx::query_as!(
        Role,
        "SELECT name, permissions, require_totp, department_scoped FROM auth.roles WHERE name = $1 FOR SHARE",
        name
    )
    .fetch_optional(db)
    .await
}

/// The role, for changing it: no token with it is issued before the transaction ends.
pub async fn lock(db: &mut PgConnection, name: &str) -> Result<Option<Role>, sqlx::Error> {
    sqlx::query_as!(
        Role,
        "SELECT name, permissions, require_totp, department_scoped FROM auth.roles WHERE name = $1 FOR NO KEY UPDATE",
        name
    )
    .fetch_optional(db)
    .await
}

pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Role>, sqlx::Error> {
    sqlx::query_as!(
        Role,
        "SELECT name, permissions, require_totp, department_scoped FROM auth.roles ORDER BY name"
    )
    .fetch_all(db)
    .await
}

/// Roles by name, after `after`.
pub async fn page(
    db: impl PgExecutor<'_>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Role>, sqlx::Error> {
    sqlx::query_as!(
        Role,
        "SELECT name, permissions, require_totp, department_scoped FROM auth.roles
         WHERE ($1::text IS NULL OR name > $1) ORDER BY name LIMIT $2",
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Says whether it is new.
pub async fn put(db: &mut PgConnection, role: &Role, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO auth.roles (name, permissions, require_totp, department_scoped, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET permissions = excluded.permissions, require_totp = excluded.require_totp,
             department_scoped = excluded.department_scoped, updated_at = excluded.updated_at
         RETURNING xmax = 0 AS "is_new!""#,
        role.name,
        &role.permissions,
        role.require_totp,
        role.department_scoped,
        now,
    )
    .fetch_one(db)
    .await
}

/// Makes a role where there is none.
pub async fn ensure(db: impl PgExecutor<'_>, role: &Role) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.roles (name, permissions, require_totp) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        role.name,
        &role.permissions,
        role.require_totp,
    )
    .execute(db)
    .await?;
    Ok(())
}
