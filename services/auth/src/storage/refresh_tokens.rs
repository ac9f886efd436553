use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::SessionId;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub hash: Vec<u8>,
    pub session_id: SessionId,
    pub used_at: Option<OffsetDateTime>,
}

struct Row {
    hash: Vec<u8>,
    session_id: Uuid,
    used_at: Option<OffsetDateTime>,
}

impl From<Row> for RefreshToken {
    fn from(row: Row) -> Self {
        Self {
            hash: row.hash,
            session_id: SessionId(row.session_id),
            used_at: row.used_at,
        }
    }
}

pub async fn insert(
    db: &mut PgConnection,
    hash: &[u8],
    session: SessionId,
    parent: Option<&[u8]>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.refresh_tokens (hash, session_id, parent, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (hash) DO NOTHING",
        hash,
        session.0,
        parent,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn by_hash(db: impl PgExecutor<'_>, hash: &[u8]) -> Result<Option<RefreshToken>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT hash, session_id, used_at FROM auth.refresh_tokens WHERE hash = $1",
        hash
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(RefreshToken::from))
}

pub async fn mark_used(db: &mut PgConnection, hash: &[u8], now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.refresh_tokens SET used_at = coalesce(used_at, $2) WHERE hash = $1",
        hash,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
