use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::CategoryId;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct Category {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// Breaks `idx_categories_slug` when there is one of this name.
pub async fn insert(
    db: &mut PgConnection,
    id: CategoryId,
    name: &str,
    slug: &str,
    now: OffsetDateTime,
) -> Result<Category, sqlx::Error> {
    sqlx::query_as!(
        Category,
        "INSERT INTO catalog.categories (id, name, slug, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
         RETURNING id, name, slug, created_at, updated_at",
        id.0,
        name,
        slug,
        now,
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    id: CategoryId,
    name: &str,
    slug: &str,
    now: OffsetDateTime,
) -> Result<Option<Category>, sqlx::Error> {
    sqlx::query_as!(
        Category,
        "UPDATE catalog.categories SET name = $2, slug = $3, updated_at = $4 WHERE id = $1
         RETURNING id, name, slug, created_at, updated_at",
        id.0,
        name,
        slug,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Breaks `courses_category_fkey` while courses use it.
pub async fn delete(db: &mut PgConnection, id: CategoryId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM catalog.categories WHERE id = $1", id.0)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn by_id(db: impl PgExecutor<'_>, id: CategoryId) -> Result<Option<Category>, sqlx::Error> {
    sqlx::query_as!(
        Category,
        "SELECT id, name, slug, created_at, updated_at FROM catalog.categories WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// By name, as Turkish orders it, after `after`.
pub async fn page(
    db: impl PgExecutor<'_>,
    after: Option<(String, Uuid)>,
    limit: i64,
) -> Result<Vec<Category>, sqlx::Error> {
    let (name, id) = after.unzip();
    sqlx::query_as!(
        Category,
        r#"SELECT id, name, slug, created_at, updated_at FROM catalog.categories
           WHERE $1::text IS NULL OR (name COLLATE "tr-x-icu", id) > ($1::text, $2::uuid)
           ORDER BY name COLLATE "tr-x-icu", id LIMIT $3"#,
        name,
        id,
        limit,
    )
    .fetch_all(db)
    .await
}
