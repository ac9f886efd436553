use std::collections::{HashMap, HashSet};

use sqlx::PgExecutor;
use time::OffsetDateTime;
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

/// A user's name as far as it is known, and the database's time: one question for both.
pub async fn name_and_now(
    db: impl PgExecutor<'_>,
    user: UserId,
) -> Result<(Option<String>, OffsetDateTime), sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT (SELECT full_name FROM exam.users WHERE id = $1) AS "full_name?", clock_timestamp() AS "now!""#,
        user.0,
    )
    .fetch_one(db)
    .await?;
    Ok((row.full_name, row.now))
}

/// Those of these users who were erased.
pub async fn erased(db: impl PgExecutor<'_>, users: &[Uuid]) -> Result<HashSet<UserId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT user_id FROM exam.erased_users WHERE user_id = ANY ($1)",
        users
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}
