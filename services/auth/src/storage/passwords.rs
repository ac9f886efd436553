use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPassword {
    pub hash: String,
    /// When the password was chosen; hashing it anew does not change that.
    pub set_at: OffsetDateTime,
}

pub async fn of_user(db: impl PgExecutor<'_>, user: UserId) -> Result<Option<StoredPassword>, sqlx::Error> {
    sqlx::query_as!(
        StoredPassword,
        "SELECT hash, updated_at AS set_at FROM auth.passwords WHERE user_id = $1",
        user.0
    )
    .fetch_optional(db)
    .await
}

pub async fn set(
    db: &mut PgConnection,
    user: UserId,
    hash: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.passwords (user_id, hash, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, updated_at = excluded.updated_at",
        user.0,
        hash,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The same password, hashed with today's parameters; nothing when somebody was quicker.
pub async fn rehash(db: &mut PgConnection, user: UserId, old: &str, new: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.passwords SET hash = $3 WHERE user_id = $1 AND hash = $2",
        user.0,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(())
}
