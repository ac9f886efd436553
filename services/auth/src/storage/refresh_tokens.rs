use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{SessionId, UserId};

use crate::domain::rotation::{Link, Successor};

/// Whose token it is; that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub user_id: UserId,
    pub session_id: SessionId,
}

/// The first token of a session.
pub async fn insert(
    db: &mut PgConnection,
    hash: &[u8],
    session: SessionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.refresh_tokens (hash, session_id, created_at) VALUES ($1, $2, $3)",
        hash,
        session.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn owner(db: impl PgExecutor<'_>, hash: &[u8]) -> Result<Option<Owner>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT s.id, s.user_id FROM auth.refresh_tokens t JOIN auth.sessions s ON s.id = t.session_id WHERE t.hash = $1",
        hash
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Owner {
        user_id: UserId(row.user_id),
        session_id: SessionId(row.id),
    }))
}

/// The token's place in its chain. To be asked under the session's lock.
pub async fn link(db: &mut PgConnection, hash: &[u8], successor: &[u8]) -> Result<Option<Link>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT t.used_at, n.hash IS NOT NULL AS "has_successor!", n.used_at AS "successor_used_at?"
         FROM auth.refresh_tokens t LEFT JOIN auth.refresh_tokens n ON n.hash = $2 WHERE t.hash = $1"#,
        hash,
        successor,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Link {
        used_at: row.used_at,
        successor: row.has_successor.then_some(Successor {
            used_at: row.successor_used_at,
        }),
    }))
}

/// Uses the token up and makes its successor.
pub async fn rotate(
    db: &mut PgConnection,
    hash: &[u8],
    successor: &[u8],
    session: SessionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH used AS (UPDATE auth.refresh_tokens SET used_at = $4 WHERE hash = $1)
         INSERT INTO auth.refresh_tokens (hash, session_id, parent, created_at) VALUES ($2, $3, $1, $4)",
        hash,
        successor,
        session.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes links that were used before a moment. Who shows one is refused, as with any unknown token.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.refresh_tokens WHERE used_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
