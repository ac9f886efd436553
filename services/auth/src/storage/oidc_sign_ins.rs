use sqlx::PgExecutor;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

/// A sign-in with an identity provider that was begun.
#[derive(Debug, Clone)]
pub struct NewSignIn<'a> {
    pub state_hash: &'a [u8],
    pub verifier_hash: &'a [u8],
    pub provider: &'a str,
    pub issuer: &'a str,
    pub redirect_uri: &'a str,
    pub expires_at: OffsetDateTime,
}

pub async fn insert(db: impl PgExecutor<'_>, new: &NewSignIn<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.oidc_sign_ins (state_hash, verifier_hash, provider, issuer, redirect_uri, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        new.state_hash,
        new.verifier_hash,
        new.provider,
        new.issuer,
        new.redirect_uri,
        new.expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a client shows of a sign-in.
#[derive(Debug, Clone)]
pub struct Shown {
    pub state_hash: Vec<u8>,
    pub verifier_hash: Vec<u8>,
    pub provider: String,
}

/// What a sign-in was begun with.
#[derive(Debug, Clone)]
pub struct Begun {
    pub issuer: String,
    pub redirect_uri: String,
}

/// Uses a sign-in up. `None` when it is another client's, another provider's, used or expired; of two at once, one gets it.
pub async fn take(
    db: impl PgExecutor<'_>,
    shown: &Shown,
    now: OffsetDateTime,
) -> Result<Option<Begun>, sqlx::Error> {
    sqlx::query_as!(
        Begun,
        "UPDATE auth.oidc_sign_ins SET used_at = $4
         WHERE state_hash = $1 AND verifier_hash = $2 AND provider = $3 AND used_at IS NULL AND expires_at > $4
         RETURNING issuer, redirect_uri",
        shown.state_hash,
        shown.verifier_hash,
        shown.provider,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Who it was: the sign-in waits for their second factor.
pub async fn wait_for_code(
    db: impl PgExecutor<'_>,
    state_hash: &[u8],
    user: UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.oidc_sign_ins SET user_id = $2 WHERE state_hash = $1",
        state_hash,
        user.0
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whose second factor a sign-in waits for.
pub async fn waiting(
    db: impl PgExecutor<'_>,
    shown: &Shown,
    now: OffsetDateTime,
) -> Result<Option<UserId>, sqlx::Error> {
    let user: Option<Option<Uuid>> = sqlx::query_scalar!(
        "SELECT user_id FROM auth.oidc_sign_ins
         WHERE state_hash = $1 AND verifier_hash = $2 AND provider = $3 AND expires_at > $4",
        shown.state_hash,
        shown.verifier_hash,
        shown.provider,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(user.flatten().map(UserId))
}

/// It is over.
pub async fn finish(db: impl PgExecutor<'_>, state_hash: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM auth.oidc_sign_ins WHERE state_hash = $1", state_hash)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.oidc_sign_ins WHERE expires_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
