use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;

pub async fn of_user(db: impl PgExecutor<'_>, user: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT hash FROM auth.passwords WHERE user_id = $1", user.0)
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
