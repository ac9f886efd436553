use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

/// What signing in has to know of an account, read at once: whether there is one does not show in the time.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub user_id: UserId,
    pub is_active: bool,
    pub hash: Option<String>,
    /// When the password was chosen.
    pub set_at: Option<OffsetDateTime>,
    /// Whether somebody signed in from this address with this device before.
    pub is_known_place: bool,
}

struct Row {
    id: Uuid,
    is_active: bool,
    hash: Option<String>,
    set_at: Option<OffsetDateTime>,
    is_known_place: bool,
}

pub async fn by_email(
    db: impl PgExecutor<'_>,
    email_key: &str,
    ip: &str,
    device: &str,
) -> Result<Option<Credentials>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT u.id, u.is_active, p.hash AS "hash?", p.updated_at AS "set_at?",
               EXISTS (SELECT FROM auth.sessions s
                       WHERE s.user_id = u.id AND s.ip = $2 AND s.device = $3 AND s.impersonator_id IS NULL
                         AND s.ip <> '' AND s.device <> '') AS "is_known_place!"
           FROM auth.users u LEFT JOIN auth.passwords p ON p.user_id = u.id
           WHERE u.email_key = $1"#,
        email_key,
        ip,
        device,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Credentials {
        user_id: UserId(row.id),
        is_active: row.is_active,
        hash: row.hash,
        set_at: row.set_at,
        is_known_place: row.is_known_place,
    }))
}
