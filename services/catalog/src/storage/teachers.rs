use sqlx::PgExecutor;
use typed_id::UserId;

pub async fn name(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT full_name FROM catalog.teachers WHERE id = $1", id.0)
        .fetch_optional(db)
        .await
}

/// Writes the projection unless it knows a newer version.
pub async fn upsert(
    db: impl PgExecutor<'_>,
    id: UserId,
    version: i32,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO catalog.teachers AS t (id, version, full_name) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, full_name = excluded.full_name
         WHERE t.version < excluded.version",
        id.0,
        version,
        name,
    )
    .execute(db)
    .await?;
    Ok(())
}
