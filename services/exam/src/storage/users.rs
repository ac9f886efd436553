use std::collections::HashMap;

use sqlx::PgExecutor;
use typed_id::UserId;
use uuid::Uuid;

/// Names of users, as far as known.
pub async fn names(db: impl PgExecutor<'_>, users: &[Uuid]) -> Result<HashMap<UserId, String>, sqlx::Error> {
    let rows = sqlx::query!("SELECT id, full_name FROM exam.users WHERE id = ANY ($1)", users)
        .fetch_all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (UserId(row.id), row.full_name))
        .collect())
}
