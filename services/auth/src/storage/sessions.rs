use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{SessionId, UserId};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub device: String,
    pub ip: String,
    pub created_at: OffsetDateTime,
    pub last_used_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
    /// Who acts in it as the user.
    pub impersonator_id: Option<UserId>,
}

struct Row {
    id: Uuid,
    user_id: Uuid,
    device: String,
    ip: String,
    created_at: OffsetDateTime,
    last_used_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
    impersonator_id: Option<Uuid>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            device: row.device,
            ip: row.ip,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            impersonator_id: row.impersonator_id.map(UserId),
        }
    }
}

pub async fn insert(db: &mut PgConnection, session: &Session) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.sessions (id, user_id, device, ip, created_at, last_used_at, expires_at, impersonator_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        session.id.0,
        session.user_id.0,
        session.device,
        session.ip,
        session.created_at,
        session.last_used_at,
        session.expires_at,
        session.impersonator_id.map(|id| id.0),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The session, and nobody else may change it until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: SessionId) -> Result<Option<Session>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, user_id, device, ip, created_at, last_used_at, expires_at, ended_at, impersonator_id
         FROM auth.sessions WHERE id = $1 FOR UPDATE",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Session::from))
}

pub async fn touch(
    db: &mut PgConnection,
    id: SessionId,
    ip: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.sessions SET last_used_at = $2, ip = $3 WHERE id = $1",
        id.0,
        now,
        ip
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends sessions of a user: one, all, or all but one. Gives those that it ended.
pub async fn end(
    db: &mut PgConnection,
    user: UserId,
    only: Option<SessionId>,
    except: Option<SessionId>,
    now: OffsetDateTime,
) -> Result<Vec<SessionId>, sqlx::Error> {
    let ended = sqlx::query_scalar!(
        "UPDATE auth.sessions SET ended_at = $4
         WHERE user_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id = $2) AND ($3::uuid IS NULL OR id <> $3)
         RETURNING id",
        user.0,
        only.map(|id| id.0),
        except.map(|id| id.0),
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(ended.into_iter().map(SessionId).collect())
}

/// Whether it is, or was, a session of that user.
pub async fn exists(db: impl PgExecutor<'_>, user: UserId, id: SessionId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM auth.sessions WHERE id = $1 AND user_id = $2) AS "exists!""#,
        id.0,
        user.0,
    )
    .fetch_one(db)
    .await
}

/// When a session began.
pub async fn begun(db: impl PgExecutor<'_>, id: SessionId) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar!("SELECT created_at FROM auth.sessions WHERE id = $1", id.0)
        .fetch_optional(db)
        .await
}

/// A user's live sessions, used since `idle_since`, newest first, before `before`.
pub async fn live(
    db: impl PgExecutor<'_>,
    user: UserId,
    now: OffsetDateTime,
    idle_since: OffsetDateTime,
    before: Option<SessionId>,
    limit: i64,
) -> Result<Vec<Session>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, user_id, device, ip, created_at, last_used_at, expires_at, ended_at, impersonator_id
         FROM auth.sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND last_used_at > $3
           AND ($4::uuid IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5",
        user.0,
        now,
        idle_since,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Session::from).collect())
}

/// Removes sessions that are over for a while, with their tokens.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM auth.sessions WHERE expires_at < $1 OR ended_at < $1",
        before
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
