use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

/// A stored signing key; its private half is encrypted.
#[derive(Debug, Clone)]
pub struct StoredKey {
    pub kid: String,
    pub private_key: Vec<u8>,
    pub signs_from: OffsetDateTime,
    pub retires_at: OffsetDateTime,
}

/// Keys that are not retired, oldest first.
pub async fn live(db: impl PgExecutor<'_>, now: OffsetDateTime) -> Result<Vec<StoredKey>, sqlx::Error> {
    sqlx::query_as!(
        StoredKey,
        "SELECT kid, private_key, signs_from, retires_at FROM auth.signing_keys WHERE retires_at > $1 ORDER BY signs_from",
        now,
    )
    .fetch_all(db)
    .await
}

/// One instance at a time may make keys.
pub async fn lock(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("LOCK TABLE auth.signing_keys IN SHARE ROW EXCLUSIVE MODE")
        .execute(db)
        .await?;
    Ok(())
}

pub async fn insert(db: &mut PgConnection, key: &StoredKey, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.signing_keys (kid, private_key, created_at, signs_from, retires_at) VALUES ($1, $2, $3, $4, $5)",
        key.kid,
        key.private_key,
        now,
        key.signs_from,
        key.retires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes a live key out of use. False when there is none of that id.
pub async fn retire(db: &mut PgConnection, kid: &str, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE auth.signing_keys SET retires_at = $2 WHERE kid = $1 AND retires_at > $2",
        kid,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets a key sign earlier than it was to.
pub async fn sign_from(db: &mut PgConnection, kid: &str, at: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.signing_keys SET signs_from = $2 WHERE kid = $1",
        kid,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.signing_keys WHERE retires_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
