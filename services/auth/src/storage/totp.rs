use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;

#[derive(Debug, Clone)]
pub struct StoredTotp {
    /// Encrypted.
    pub secret: Vec<u8>,
    pub confirmed_at: Option<OffsetDateTime>,
}

pub async fn of_user(db: impl PgExecutor<'_>, user: UserId) -> Result<Option<StoredTotp>, sqlx::Error> {
    sqlx::query_as!(
        StoredTotp,
        "SELECT secret, confirmed_at FROM auth.totp WHERE user_id = $1",
        user.0
    )
    .fetch_optional(db)
    .await
}

/// Begins, or begins again. False when one is confirmed.
pub async fn begin(
    db: &mut PgConnection,
    user: UserId,
    secret: &[u8],
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO auth.totp AS t (user_id, secret, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, last_step = 0
         WHERE t.confirmed_at IS NULL",
        user.0,
        secret,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the code of a step. False when it, or a later one, was taken before.
pub async fn take_step(db: &mut PgConnection, user: UserId, step: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE auth.totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2",
        user.0,
        step
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The second factor counts from now on. False when it did already.
pub async fn confirm(db: &mut PgConnection, user: UserId, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "WITH confirmed AS (
             UPDATE auth.totp SET confirmed_at = $2 WHERE user_id = $1 AND confirmed_at IS NULL RETURNING user_id)
         UPDATE auth.users u SET totp_enabled = true, updated_at = $2 FROM confirmed c WHERE u.id = c.user_id",
        user.0,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes the second factor with its recovery codes.
pub async fn remove(db: &mut PgConnection, user: UserId, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "WITH codes AS (DELETE FROM auth.recovery_codes WHERE user_id = $1),
              removed AS (DELETE FROM auth.totp WHERE user_id = $1)
         UPDATE auth.users SET totp_enabled = false, updated_at = $2 WHERE id = $1 AND totp_enabled",
        user.0,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The user's recovery codes, instead of those before.
pub async fn put_recovery_codes(
    db: &mut PgConnection,
    user: UserId,
    hashes: &[Vec<u8>],
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM auth.recovery_codes WHERE user_id = $1", user.0)
        .execute(&mut *db)
        .await?;
    sqlx::query!(
        "INSERT INTO auth.recovery_codes (user_id, hash) SELECT $1, * FROM unnest($2::bytea[])",
        user.0,
        hashes
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses a recovery code up. False when there is none such, or it was used.
pub async fn take_recovery_code(
    db: &mut PgConnection,
    user: UserId,
    hash: &[u8],
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE auth.recovery_codes SET used_at = $3 WHERE user_id = $1 AND hash = $2 AND used_at IS NULL",
        user.0,
        hash,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
