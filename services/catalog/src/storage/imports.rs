//! Imported courses, by the batch.

use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

/// A course from elsewhere.
#[derive(Debug, Clone)]
pub struct Imported {
    pub id: Uuid,
    pub source_key: String,
    pub title: String,
    pub description: String,
    pub category_id: Option<Uuid>,
    pub code: String,
    pub academic_year: String,
    pub published: bool,
}

/// Makes the categories that are missing; gives all of `slugs` with their ids.
pub async fn ensure_categories(
    db: &mut PgConnection,
    ids: &[Uuid],
    names: &[String],
    slugs: &[String],
    now: OffsetDateTime,
) -> Result<Vec<(String, Uuid)>, sqlx::Error> {
    sqlx::query!(
        "INSERT INTO catalog.categories (id, name, slug, created_at, updated_at)
         SELECT id, name, slug, $4, $4 FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, name, slug)
         ON CONFLICT (slug) DO NOTHING",
        ids,
        names,
        slugs,
        now,
    )
    .execute(&mut *db)
    .await?;
    let rows = sqlx::query!(
        "SELECT slug, id FROM catalog.categories WHERE slug = ANY($1)",
        slugs
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slug, row.id)).collect())
}

/// Writes a batch; what is there already and the same is left alone. Gives the ids of courses that are new or changed.
pub async fn upsert(
    db: &mut PgConnection,
    teacher: UserId,
    batch: &[Imported],
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = batch.iter().map(|course| course.id).collect();
    let keys: Vec<String> = batch.iter().map(|course| course.source_key.clone()).collect();
    let titles: Vec<String> = batch.iter().map(|course| course.title.clone()).collect();
    let descriptions: Vec<String> = batch.iter().map(|course| course.description.clone()).collect();
    let categories: Vec<Option<Uuid>> = batch.iter().map(|course| course.category_id).collect();
    let codes: Vec<String> = batch.iter().map(|course| course.code.clone()).collect();
    let years: Vec<String> = batch.iter().map(|course| course.academic_year.clone()).collect();
    let published: Vec<bool> = batch.iter().map(|course| course.published).collect();
    sqlx::query_scalar!(
        "INSERT INTO catalog.courses AS c
             (id, source_key, title, description, category_id, code, academic_year, is_published, published_at, teacher_id,
              created_at, updated_at)
         SELECT n.id, n.key, n.title, n.description, n.category, n.code, n.year, n.published,
                CASE WHEN n.published THEN $10::timestamptz END, $9, $10, $10
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::bool[])
              AS n (id, key, title, description, category, code, year, published)
         ON CONFLICT (source_key) WHERE source_key IS NOT NULL DO UPDATE
         SET title = excluded.title, description = excluded.description, category_id = excluded.category_id,
             code = excluded.code, academic_year = excluded.academic_year, is_published = excluded.is_published,
             published_at = coalesce(c.published_at, excluded.published_at), updated_at = excluded.updated_at,
             version = c.version + 1
         WHERE (c.title, c.description, c.category_id, c.code, c.academic_year, c.is_published)
               IS DISTINCT FROM (excluded.title, excluded.description, excluded.category_id, excluded.code,
                                 excluded.academic_year, excluded.is_published)
         RETURNING c.id",
        &ids,
        &keys,
        &titles,
        &descriptions,
        &categories as &[Option<Uuid>],
        &codes,
        &years,
        &published,
        teacher.0,
        now,
    )
    .fetch_all(db)
    .await
}
