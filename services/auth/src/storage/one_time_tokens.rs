use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;

/// What a secret of a mail allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    VerifyEmail,
    ResetPassword,
    /// To an address that is not the account's yet.
    ChangeEmail,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
        }
    }
}

pub async fn insert(
    db: &mut PgConnection,
    hash: &[u8],
    user: UserId,
    purpose: Purpose,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.one_time_tokens (hash, user_id, purpose, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        hash,
        user.0,
        purpose.as_str(),
        now,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A secret that proves an address, which becomes the account's with it.
pub async fn insert_email_change(
    db: &mut PgConnection,
    hash: &[u8],
    user: UserId,
    email: &str,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.one_time_tokens (hash, user_id, purpose, email, created_at, expires_at)
         VALUES ($1, $2, 'change_email', $3, $4, $5)",
        hash,
        user.0,
        email,
        now,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// An address that an account is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChange {
    pub user: UserId,
    pub email: String,
}

/// What a secret changes, used or not, unless it has expired.
pub async fn email_change(
    db: impl PgExecutor<'_>,
    hash: &[u8],
    now: OffsetDateTime,
) -> Result<Option<EmailChange>, sqlx::Error> {
    let found = sqlx::query!(
        r#"SELECT user_id, email AS "email!" FROM auth.one_time_tokens
           WHERE hash = $1 AND purpose = 'change_email' AND expires_at > $2"#,
        hash,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|found| EmailChange {
        user: UserId(found.user_id),
        email: found.email,
    }))
}

/// Secrets of one purpose for many users.
pub async fn insert_many(
    db: &mut PgConnection,
    secrets: &[(UserId, Vec<u8>)],
    purpose: Purpose,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (users, hashes): (Vec<_>, Vec<_>) = secrets.iter().map(|(user, hash)| (user.0, hash.clone())).unzip();
    sqlx::query!(
        "INSERT INTO auth.one_time_tokens (hash, user_id, purpose, created_at, expires_at)
         SELECT new.hash, new.user_id, $3, $4, $5 FROM unnest($1::bytea[], $2::uuid[]) AS new (hash, user_id)",
        &hashes,
        &users,
        purpose.as_str(),
        now,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whose secret it is, used or not, unless it has expired.
pub async fn owner(
    db: impl PgExecutor<'_>,
    hash: &[u8],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Option<UserId>, sqlx::Error> {
    let user = sqlx::query_scalar!(
        "SELECT user_id FROM auth.one_time_tokens WHERE hash = $1 AND purpose = $2 AND expires_at > $3",
        hash,
        purpose.as_str(),
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(user.map(UserId))
}

/// Uses a secret up. `None` when it is unknown, used or expired; of two at once, one gets it.
pub async fn take(
    db: &mut PgConnection,
    hash: &[u8],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Option<UserId>, sqlx::Error> {
    let user = sqlx::query_scalar!(
        "UPDATE auth.one_time_tokens SET used_at = $3
         WHERE hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3 RETURNING user_id",
        hash,
        purpose.as_str(),
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(user.map(UserId))
}

/// Voids a user's other secrets of a purpose.
pub async fn void(
    db: &mut PgConnection,
    user: UserId,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.one_time_tokens SET used_at = $3 WHERE user_id = $1 AND purpose = $2 AND used_at IS NULL",
        user.0,
        purpose.as_str(),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Voids all of a user's secrets, whatever they are for.
pub async fn void_all(db: &mut PgConnection, user: UserId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.one_time_tokens SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL",
        user.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.one_time_tokens WHERE expires_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
