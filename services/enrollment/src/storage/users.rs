use sqlx::PgExecutor;
use typed_id::UserId;
use uuid::Uuid;

/// What this service keeps of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub version: i32,
    pub full_name: String,
    pub email_verified: bool,
    pub is_active: bool,
}

struct Row {
    id: Uuid,
    version: i32,
    full_name: String,
    email_verified: bool,
    is_active: bool,
}

pub async fn by_id(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, version, full_name, email_verified, is_active FROM enrollment.users WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| User {
        id: UserId(row.id),
        version: row.version,
        full_name: row.full_name,
        email_verified: row.email_verified,
        is_active: row.is_active,
    }))
}

/// Whose address is verified among these.
pub async fn verified(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<UserId>, sqlx::Error> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM enrollment.users WHERE id = ANY ($1) AND email_verified",
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(UserId).collect())
}

/// Writes the projection of several users at once, except where it knows a newer version. In one order, so that nobody
/// waits for each other.
pub async fn upsert(db: impl PgExecutor<'_>, users: &[User]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = users.iter().map(|u| u.id.0).collect();
    let versions: Vec<i32> = users.iter().map(|u| u.version).collect();
    let names: Vec<String> = users.iter().map(|u| u.full_name.clone()).collect();
    let verified: Vec<bool> = users.iter().map(|u| u.email_verified).collect();
    let active: Vec<bool> = users.iter().map(|u| u.is_active).collect();
    sqlx::query!(
        "INSERT INTO enrollment.users AS u (id, version, full_name, email_verified, is_active)
         SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::bool[]) AS new (id) ORDER BY new.id
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, full_name = excluded.full_name,
             email_verified = excluded.email_verified, is_active = excluded.is_active
         WHERE u.version < excluded.version",
        &ids,
        &versions,
        &names,
        &verified,
        &active,
    )
    .execute(db)
    .await?;
    Ok(())
}
