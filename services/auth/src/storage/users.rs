use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

use crate::domain::email;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub full_name: String,
    pub role: String,
    pub locale: String,
    pub time_zone: String,
    pub email_verified_at: Option<OffsetDateTime>,
    pub is_active: bool,
    pub totp_enabled: bool,
    pub department: String,
    pub student_id: String,
    pub version: i32,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    email: String,
    full_name: String,
    role: String,
    locale: String,
    time_zone: String,
    email_verified_at: Option<OffsetDateTime>,
    is_active: bool,
    totp_enabled: bool,
    department: String,
    student_id: String,
    version: i32,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: UserId(row.id),
            email: row.email,
            full_name: row.full_name,
            role: row.role,
            locale: row.locale,
            time_zone: row.time_zone,
            email_verified_at: row.email_verified_at,
            is_active: row.is_active,
            totp_enabled: row.totp_enabled,
            department: row.department,
            student_id: row.student_id,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// An account that is to be made.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    pub id: UserId,
    pub email: &'a str,
    pub email_key: &'a str,
    pub full_name: &'a str,
    pub role: &'a str,
    pub locale: &'a str,
    pub email_verified_at: Option<OffsetDateTime>,
    pub department: &'a str,
    pub student_id: &'a str,
    pub now: OffsetDateTime,
}

/// `None` when the address has an account.
pub async fn insert(db: &mut PgConnection, new: &NewUser<'_>) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO auth.users (id, email, email_key, full_name, role, locale, email_verified_at, department, student_id,
             created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT (email_key) DO NOTHING
         RETURNING id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at",
        new.id.0,
        new.email,
        new.email_key,
        new.full_name,
        new.role,
        new.locale,
        new.email_verified_at,
        new.department,
        new.student_id,
        new.now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

pub async fn by_id(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// The account, and nobody changes it before the transaction ends; others may look on. Before its role's and its sessions' locks.
pub async fn share(db: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users WHERE id = $1 FOR SHARE",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// The account, for changing it: no token of it is issued before the transaction ends.
pub async fn lock(db: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users WHERE id = $1 FOR NO KEY UPDATE",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

pub async fn by_email(db: impl PgExecutor<'_>, email_key: &str) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users WHERE email_key = $1",
        email_key,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

pub async fn by_ids(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<User>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users WHERE id = ANY($1)",
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

pub async fn by_emails(db: impl PgExecutor<'_>, keys: &[String]) -> Result<Vec<User>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users WHERE email_key = ANY($1)",
        keys,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// What may change of an account; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub full_name: Option<String>,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
    pub role: Option<String>,
    pub is_active: Option<bool>,
    pub department: Option<String>,
    pub student_id: Option<String>,
    /// It is as verified as `verified_at` says.
    pub email: Option<String>,
    /// Of the address of before set only when it was not verified yet.
    pub verified_at: Option<OffsetDateTime>,
}

/// `None` when there is no such account.
pub async fn update(
    db: &mut PgConnection,
    id: UserId,
    changes: &Changes,
    now: OffsetDateTime,
) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "UPDATE auth.users SET
             full_name = coalesce($2, full_name), locale = coalesce($3, locale), time_zone = coalesce($4, time_zone),
             role = coalesce($5, role), is_active = coalesce($6, is_active),
             email_verified_at = CASE WHEN $11::text IS NULL THEN coalesce(email_verified_at, $7) ELSE $7 END,
             email = coalesce($11, email), email_key = coalesce($12, email_key), department = coalesce($9, department),
             student_id = coalesce($10, student_id), updated_at = $8, version = version + 1
         WHERE id = $1
         RETURNING id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at",
        id.0,
        changes.full_name.as_deref(),
        changes.locale.as_deref(),
        changes.time_zone.as_deref(),
        changes.role.as_deref(),
        changes.is_active,
        changes.verified_at,
        now,
        changes.department.as_deref(),
        changes.student_id.as_deref(),
        changes.email.as_deref(),
        changes.email.as_deref().map(email::key),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// Active admins, locked, so that two who step back at once cannot leave none.
pub async fn lock_active_admins(db: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM auth.users WHERE role = 'admin' AND is_active ORDER BY id FOR UPDATE")
        .fetch_all(db)
        .await
}

/// Whether PostgreSQL knows the time zone by that name.
pub async fn is_time_zone(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pg_catalog.pg_timezone_names WHERE name = $1) AS "known!""#,
        name
    )
    .fetch_one(db)
    .await
}

/// Users, newest first, before `before`; `search` is a part of name or address.
pub async fn page(
    db: impl PgExecutor<'_>,
    search: Option<&str>,
    role: Option<&str>,
    department: Option<&str>,
    is_active: Option<bool>,
    before: Option<UserId>,
    limit: i64,
) -> Result<Vec<User>, sqlx::Error> {
    let pattern = search.map(|text| {
        format!(
            "%{}%",
            text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
        )
    });
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, email, full_name, role, locale, time_zone, email_verified_at, is_active, totp_enabled, department, student_id, version, created_at, updated_at
         FROM auth.users
         WHERE ($1::text IS NULL OR auth.fold_turkish(full_name || ' ' || email) LIKE auth.fold_turkish($1))
           AND ($2::text IS NULL OR role = $2) AND ($3::uuid IS NULL OR id < $3)
           AND ($5::text IS NULL OR department = $5) AND ($6::bool IS NULL OR is_active = $6)
         ORDER BY id DESC LIMIT $4",
        pattern,
        role,
        before.map(|id| id.0),
        limit,
        department,
        is_active,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// A department with how many belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Department {
    pub name: String,
    pub users: i64,
}

/// Every department that somebody belongs to, by name, byte by byte as pages compare them. A school has few.
pub async fn departments(db: impl PgExecutor<'_>) -> Result<Vec<Department>, sqlx::Error> {
    sqlx::query_as!(
        Department,
        r#"SELECT department AS name, count(*) AS "users!" FROM auth.users WHERE department <> ''
           GROUP BY department ORDER BY department COLLATE "C" LIMIT 1000"#
    )
    .fetch_all(db)
    .await
}

/// Holders of a role who got an access token since a moment, in the order of their ids.
pub async fn holders_since(
    db: &mut PgConnection,
    role: &str,
    since: OffsetDateTime,
) -> Result<Vec<UserId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM auth.users u WHERE role = $1 AND is_active
           AND EXISTS (SELECT FROM auth.sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL AND s.last_used_at >= $2)
         ORDER BY id",
        role,
        since,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}
