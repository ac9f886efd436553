use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

/// A program that uses the API.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    pub id: Uuid,
    pub name: String,
    pub permissions: Vec<String>,
    pub secret_hash: Vec<u8>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

pub async fn insert(
    db: &mut PgConnection,
    account: &ServiceAccount,
    created_by: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.service_accounts (id, name, permissions, secret_hash, created_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        account.id,
        account.name,
        &account.permissions,
        account.secret_hash,
        created_by,
        account.created_at,
        account.expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Those in use, newest first. An installation has few.
pub async fn live(db: impl PgExecutor<'_>, now: OffsetDateTime) -> Result<Vec<ServiceAccount>, sqlx::Error> {
    sqlx::query_as!(
        ServiceAccount,
        "SELECT id, name, permissions, secret_hash, created_at, expires_at, last_used_at
         FROM auth.service_accounts WHERE ended_at IS NULL AND expires_at > $1 ORDER BY id DESC LIMIT 500",
        now
    )
    .fetch_all(db)
    .await
}

/// The account, if it is in use, and nobody ends it before the transaction does; marks the use.
pub async fn used(
    db: &mut PgConnection,
    id: Uuid,
    secret_hash: &[u8],
    now: OffsetDateTime,
) -> Result<Option<ServiceAccount>, sqlx::Error> {
    sqlx::query_as!(
        ServiceAccount,
        "UPDATE auth.service_accounts SET last_used_at = $3
         WHERE id = $1 AND secret_hash = $2 AND ended_at IS NULL AND expires_at > $3
         RETURNING id, name, permissions, secret_hash, created_at, expires_at, last_used_at",
        id,
        secret_hash,
        now
    )
    .fetch_optional(db)
    .await
}

/// False when there is none such in use.
pub async fn end(db: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE auth.service_accounts SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL",
        id,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
