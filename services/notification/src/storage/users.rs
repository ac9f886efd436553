use sqlx::PgExecutor;
use typed_id::UserId;
use uuid::Uuid;

/// What this service keeps of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub version: i32,
    pub email: String,
    pub full_name: String,
    pub locale: String,
    pub is_active: bool,
    /// IANA name; empty when nobody told.
    pub time_zone: String,
    pub role: String,
}

struct Row {
    id: Uuid,
    version: i32,
    email: String,
    full_name: String,
    locale: String,
    is_active: bool,
    time_zone: String,
    role: String,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: UserId(row.id),
            version: row.version,
            email: row.email,
            full_name: row.full_name,
            locale: row.locale,
            is_active: row.is_active,
            time_zone: row.time_zone,
            role: row.role,
        }
    }
}

pub async fn by_ids(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<User>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, version, email, full_name, locale, is_active, time_zone, role FROM notification.users
         WHERE id = ANY ($1) ORDER BY id",
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// Active admins, and one user who need not be an admin.
pub async fn admins_and(db: impl PgExecutor<'_>, also: UserId) -> Result<Vec<User>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, version, email, full_name, locale, is_active, time_zone, role FROM notification.users
         WHERE is_active AND (role = 'admin' OR id = $1) ORDER BY id",
        also.0,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// Writes the projections, each unless it knows a newer version or the user was erased. One that came without a time zone keeps the one
/// there was.
pub async fn upsert(db: impl PgExecutor<'_>, users: &[User]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.id.0).collect();
    let versions: Vec<i32> = users.iter().map(|user| user.version).collect();
    let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
    let names: Vec<&str> = users.iter().map(|user| user.full_name.as_str()).collect();
    let locales: Vec<&str> = users.iter().map(|user| user.locale.as_str()).collect();
    let active: Vec<bool> = users.iter().map(|user| user.is_active).collect();
    let zones: Vec<&str> = users.iter().map(|user| user.time_zone.as_str()).collect();
    let roles: Vec<&str> = users.iter().map(|user| user.role.as_str()).collect();
    sqlx::query!(
        "INSERT INTO notification.users AS u (id, version, email, full_name, locale, is_active, time_zone, role)
         SELECT * FROM unnest(
             $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::text[], $8::text[])
             AS new (id, version, email, full_name, locale, is_active, time_zone, role)
         WHERE NOT EXISTS (SELECT FROM notification.erased_users e WHERE e.user_id = new.id)
         ORDER BY id
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, email = excluded.email, full_name = excluded.full_name,
             locale = excluded.locale, is_active = excluded.is_active, role = excluded.role,
             time_zone = coalesce(nullif(excluded.time_zone, ''), u.time_zone)
         WHERE u.version < excluded.version",
        &ids,
        &versions,
        &emails as &[&str],
        &names as &[&str],
        &locales as &[&str],
        &active,
        &zones as &[&str],
        &roles as &[&str],
    )
    .execute(db)
    .await?;
    Ok(())
}
