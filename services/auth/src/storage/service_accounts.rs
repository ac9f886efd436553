use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;
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

/// Those in use, newest first, before `before`.
pub async fn live(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ServiceAccount>, sqlx::Error> {
    sqlx::query_as!(
        ServiceAccount,
        "SELECT id, name, permissions, secret_hash, created_at, expires_at, last_used_at
         FROM auth.service_accounts WHERE ended_at IS NULL AND expires_at > $1 AND ($2::uuid IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
        now,
        before,
        limit,
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

/// Who made it.
pub async fn maker(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<UserId>, sqlx::Error> {
    let maker = sqlx::query_scalar!("SELECT created_by FROM auth.service_accounts WHERE id = $1", id)
        .fetch_optional(db)
        .await?;
    Ok(maker.map(UserId))
}

/// The subjects of the programs of some makers.
pub async fn of_makers(db: &mut PgConnection, makers: &[Uuid]) -> Result<Vec<UserId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM auth.service_accounts WHERE created_by = ANY($1) AND ended_at IS NULL ORDER BY id",
        makers
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// The subjects of the programs of a role's holders that got a token since a moment.
pub async fn of_role_since(
    db: &mut PgConnection,
    role: &str,
    since: OffsetDateTime,
) -> Result<Vec<UserId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT s.id FROM auth.service_accounts s JOIN auth.users u ON u.id = s.created_by
         WHERE u.role = $1 AND s.ended_at IS NULL AND s.last_used_at >= $2 ORDER BY s.id",
        role,
        since
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
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
