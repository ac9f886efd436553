//! Many accounts at once.

use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

use super::users::User;

/// An account as a file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub email: String,
    pub email_key: String,
    pub full_name: String,
    pub role: String,
    pub locale: String,
    pub department: String,
    pub student_id: String,
    pub external_id: String,
}

#[derive(Debug, Clone)]
pub struct Known {
    pub id: Uuid,
    pub email_key: String,
    pub full_name: String,
    pub role: String,
    pub department: String,
    pub student_id: String,
    pub external_id: String,
    pub is_active: bool,
}

/// Those of the addresses that have an account, locked in the order of their ids.
pub async fn lock_known(db: &mut PgConnection, keys: &[String]) -> Result<Vec<Known>, sqlx::Error> {
    sqlx::query_as!(
        Known,
        "SELECT id, email_key, full_name, role, department, student_id, external_id, is_active
         FROM auth.users WHERE email_key = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        keys
    )
    .fetch_all(db)
    .await
}

/// Makes accounts in one statement; an address that got one meanwhile is left out.
pub async fn insert(
    db: &mut PgConnection,
    new: &[(UserId, Wanted)],
    verified_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Vec<User>, sqlx::Error> {
    let column = |of: fn(&Wanted) -> &String| new.iter().map(|(_, w)| of(w).clone()).collect::<Vec<_>>();
    let ids: Vec<Uuid> = new.iter().map(|(id, _)| id.0).collect();
    sqlx::query_as!(
        User,
        r#"INSERT INTO auth.users (id, email, email_key, full_name, role, locale, department, student_id, external_id,
               email_verified_at, created_at, updated_at)
           SELECT new.id, new.email, new.email_key, new.full_name, new.role, new.locale, new.department, new.student_id,
               new.external_id, $10, $11, $11
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
               AS new (id, email, email_key, full_name, role, locale, department, student_id, external_id)
           ON CONFLICT (email_key) DO NOTHING
           RETURNING id AS "id: _", email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled,
               department, student_id, version, created_at, updated_at"#,
        &ids,
        &column(|w| &w.email),
        &column(|w| &w.email_key),
        &column(|w| &w.full_name),
        &column(|w| &w.role),
        &column(|w| &w.locale),
        &column(|w| &w.department),
        &column(|w| &w.student_id),
        &column(|w| &w.external_id),
        verified_at,
        now,
    )
    .fetch_all(db)
    .await
}

/// Name and school fields of accounts that are there; roles are not changed by files.
pub async fn update(
    db: &mut PgConnection,
    changed: &[(Uuid, Wanted)],
    now: OffsetDateTime,
) -> Result<Vec<User>, sqlx::Error> {
    let column = |of: fn(&Wanted) -> &String| changed.iter().map(|(_, w)| of(w).clone()).collect::<Vec<_>>();
    let ids: Vec<Uuid> = changed.iter().map(|(id, _)| *id).collect();
    sqlx::query_as!(
        User,
        r#"UPDATE auth.users u SET full_name = new.full_name, department = new.department, student_id = new.student_id,
               external_id = new.external_id, updated_at = $6, version = u.version + 1
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
               AS new (id, full_name, department, student_id, external_id)
           WHERE u.id = new.id
           RETURNING u.id AS "id: _", u.email, u.full_name, u.role, u.locale, u.time_zone, u.email_verified_at, u.is_active,
               u.totp_enabled, u.department, u.student_id, u.version, u.created_at, u.updated_at"#,
        &ids,
        &column(|w| &w.full_name),
        &column(|w| &w.department),
        &column(|w| &w.student_id),
        &column(|w| &w.external_id),
        now,
    )
    .fetch_all(db)
    .await
}

/// Accounts that another system has taken away.
pub async fn deactivate(
    db: &mut PgConnection,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query_as!(
        User,
        r#"WITH ended AS (UPDATE auth.sessions SET ended_at = $2 WHERE user_id = ANY($1) AND ended_at IS NULL)
           UPDATE auth.users SET is_active = false, updated_at = $2, version = version + 1
           WHERE id = ANY($1) AND is_active
           RETURNING id AS "id: _", email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled,
               department, student_id, version, created_at, updated_at"#,
        ids,
        now
    )
    .fetch_all(db)
    .await
}

/// Hashes of older systems, for accounts without a password.
pub async fn put_hashes(
    db: &mut PgConnection,
    hashes: &[(Uuid, String)],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (ids, texts): (Vec<Uuid>, Vec<String>) = hashes.iter().cloned().unzip();
    sqlx::query!(
        "INSERT INTO auth.passwords (user_id, hash, updated_at) SELECT new.user_id, new.hash, $3
         FROM unnest($1::uuid[], $2::text[]) AS new (user_id, hash) ON CONFLICT (user_id) DO NOTHING",
        &ids,
        &texts,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
