use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

/// An account of an identity provider that signs in to one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub id: Uuid,
    pub provider: String,
    pub email: String,
    pub created_at: OffsetDateTime,
    pub last_used_at: OffsetDateTime,
}

/// One that is to be linked.
#[derive(Debug, Clone, Copy)]
pub struct NewIdentity<'a> {
    pub user: UserId,
    pub provider: &'a str,
    pub issuer: &'a str,
    pub subject: &'a str,
    pub email: &'a str,
}

/// Whose it is; marks the use.
pub async fn used(
    db: &mut PgConnection,
    issuer: &str,
    subject: &str,
    now: OffsetDateTime,
) -> Result<Option<UserId>, sqlx::Error> {
    let user = sqlx::query_scalar!(
        "UPDATE auth.identities SET last_used_at = $3 WHERE issuer = $1 AND subject = $2 RETURNING user_id",
        issuer,
        subject,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(user.map(UserId))
}

/// Whether another account of the provider signs in to this one.
pub async fn has_other(
    db: &mut PgConnection,
    user: UserId,
    issuer: &str,
    subject: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM auth.identities
                          WHERE user_id = $1 AND issuer = $2 AND subject <> $3) AS "exists!""#,
        user.0,
        issuer,
        subject,
    )
    .fetch_one(db)
    .await
}

/// Links it. False when it is linked already.
pub async fn insert(
    db: &mut PgConnection,
    new: NewIdentity<'_>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO auth.identities (id, user_id, provider, issuer, subject, email, created_at, last_used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (issuer, subject) DO NOTHING",
        typed_id::new_uuid(now),
        new.user.0,
        new.provider,
        new.issuer,
        new.subject,
        new.email,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A user's, oldest first, after `after`.
pub async fn of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Identity>, sqlx::Error> {
    sqlx::query_as!(
        Identity,
        "SELECT id, provider, email, created_at, last_used_at FROM auth.identities
         WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        user.0,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Unlinks one of a user's. False when there is none such.
pub async fn remove(db: &mut PgConnection, user: UserId, id: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM auth.identities WHERE id = $1 AND user_id = $2",
        id,
        user.0
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
