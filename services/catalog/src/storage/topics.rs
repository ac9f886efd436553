use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, TopicId};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct Topic {
    pub id: Uuid,
    pub course_id: Uuid,
    pub title: String,
    pub order_index: i32,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// Last in the course when `order_index` is not given.
pub async fn insert(
    db: &mut PgConnection,
    id: TopicId,
    course: CourseId,
    title: &str,
    order_index: Option<i32>,
    now: OffsetDateTime,
) -> Result<Topic, sqlx::Error> {
    sqlx::query_as!(
        Topic,
        "INSERT INTO catalog.topics (id, course_id, title, order_index, created_at, updated_at)
         VALUES ($1, $2, $3,
                 coalesce($4, (SELECT coalesce(max(order_index) + 1, 0) FROM catalog.topics WHERE course_id = $2)), $5, $5)
         RETURNING id, course_id, title, order_index, created_at, updated_at",
        id.0,
        course.0,
        title,
        order_index,
        now,
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    id: TopicId,
    title: Option<&str>,
    order_index: Option<i32>,
    now: OffsetDateTime,
) -> Result<Option<Topic>, sqlx::Error> {
    sqlx::query_as!(
        Topic,
        "UPDATE catalog.topics SET title = coalesce($2, title), order_index = coalesce($3, order_index), updated_at = $4
         WHERE id = $1 RETURNING id, course_id, title, order_index, created_at, updated_at",
        id.0,
        title,
        order_index,
        now,
    )
    .fetch_optional(db)
    .await
}

pub async fn delete(db: &mut PgConnection, id: TopicId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM catalog.topics WHERE id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn course_of(db: impl PgExecutor<'_>, id: TopicId) -> Result<Option<CourseId>, sqlx::Error> {
    let course = sqlx::query_scalar!("SELECT course_id FROM catalog.topics WHERE id = $1", id.0)
        .fetch_optional(db)
        .await?;
    Ok(course.map(CourseId))
}

pub async fn by_id(db: impl PgExecutor<'_>, id: TopicId) -> Result<Option<Topic>, sqlx::Error> {
    sqlx::query_as!(
        Topic,
        "SELECT id, course_id, title, order_index, created_at, updated_at FROM catalog.topics WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// One page of a course's topics in order, after `after`.
pub async fn page(
    db: impl PgExecutor<'_>,
    course: CourseId,
    after: Option<(i32, Uuid)>,
    limit: i64,
) -> Result<Vec<Topic>, sqlx::Error> {
    let (place, id) = after.unzip();
    sqlx::query_as!(
        Topic,
        "SELECT id, course_id, title, order_index, created_at, updated_at FROM catalog.topics
         WHERE course_id = $1 AND ($2::int IS NULL OR (order_index, id) > ($2::int, $3::uuid))
         ORDER BY order_index, id LIMIT $4",
        course.0,
        place,
        id,
        limit,
    )
    .fetch_all(db)
    .await
}

/// A course's topics in order.
pub async fn of_course(db: impl PgExecutor<'_>, course: CourseId) -> Result<Vec<Topic>, sqlx::Error> {
    sqlx::query_as!(
        Topic,
        "SELECT id, course_id, title, order_index, created_at, updated_at FROM catalog.topics
         WHERE course_id = $1 ORDER BY order_index, id",
        course.0,
    )
    .fetch_all(db)
    .await
}

/// Gives the topics of a course the order of `ids`.
pub async fn reorder(
    db: &mut PgConnection,
    course: CourseId,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE catalog.topics t SET order_index = wanted.place::int - 1, updated_at = $3
         FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, place)
         WHERE t.id = wanted.id AND t.course_id = $1",
        course.0,
        ids,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
