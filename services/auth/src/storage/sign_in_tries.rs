use sqlx::PgExecutor;
use time::OffsetDateTime;

/// A bucket of tries.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub burst: f64,
    pub per_second: f64,
}

/// Takes a try. False when there is none; of many at once no more get one than there are.
pub async fn take(
    db: impl PgExecutor<'_>,
    subject: &[u8],
    limit: Limit,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query_scalar!(
        r#"INSERT INTO auth.sign_in_tries AS t (subject, tokens, updated_at) VALUES ($1, $2::float8 - 1, $4)
           ON CONFLICT (subject) DO UPDATE SET
               tokens = least($2::float8, t.tokens + greatest(extract(epoch FROM $4 - t.updated_at)::float8, 0) * $3::float8) - 1,
               updated_at = greatest(t.updated_at, $4)
           WHERE least($2::float8, t.tokens + greatest(extract(epoch FROM $4 - t.updated_at)::float8, 0) * $3::float8) >= 1
           RETURNING tokens"#,
        subject,
        limit.burst,
        limit.per_second,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(taken.is_some())
}

/// Whoever showed the right password has all tries again.
pub async fn reset(db: impl PgExecutor<'_>, subject: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM auth.sign_in_tries WHERE subject = $1", subject)
        .execute(db)
        .await?;
    Ok(())
}

/// Buckets that are full again anyway.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.sign_in_tries WHERE updated_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
