use sqlx::PgExecutor;
use typed_id::UserId;
use uuid::Uuid;

/// What this service keeps of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub version: i32,
    pub email: String,
    pub full_name: String,
    pub locale: String,
    pub is_active: bool,
}

struct Row {
    id: Uuid,
    version: i32,
    email: String,
    full_name: String,
    locale: String,
    is_active: bool,
}

pub async fn by_id(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, version, email, full_name, locale, is_active FROM notification.users WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| User {
        id: UserId(row.id),
        version: row.version,
        email: row.email,
        full_name: row.full_name,
        locale: row.locale,
        is_active: row.is_active,
    }))
}

/// Writes the projection unless it knows a newer version.
pub async fn upsert(db: impl PgExecutor<'_>, user: &User) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO notification.users AS u (id, version, email, full_name, locale, is_active)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, email = excluded.email, full_name = excluded.full_name,
             locale = excluded.locale, is_active = excluded.is_active
         WHERE u.version < excluded.version",
        user.id.0,
        user.version,
        user.email,
        user.full_name,
        user.locale,
        user.is_active,
    )
    .execute(db)
    .await?;
    Ok(())
}
