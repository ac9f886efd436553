//! Lists of courses: by filter, and by search.

use postgres::Autocommit;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use typed_id::UserId;
use uuid::Uuid;

use super::courses::Course;

/// Which courses are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    pub category_id: Option<Uuid>,
    pub teacher_id: Option<Uuid>,
    pub code: Option<String>,
    pub academic_year: Option<String>,
    pub drafts: Drafts,
}

/// Which unpublished courses are seen too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Drafts {
    #[default]
    None,
    Of(UserId),
    All,
}

impl Drafts {
    fn of(self) -> Option<Uuid> {
        match self {
            Self::Of(user) => Some(user.0),
            _ => None,
        }
    }
}

/// Newest first, before `before`.
pub async fn page(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Course>, sqlx::Error> {
    sqlx::query_as!(
        Course,
        r#"SELECT c.id AS "id!", c.title AS "title!", c.description AS "description!", c.teacher_id AS "teacher_id!",
                  t.full_name AS "teacher_name?", c.category_id AS "category_id?", c.code AS "code!",
                  c.academic_year AS "academic_year!", c.is_published AS "is_published!", c.is_active AS "is_active!",
                  c.seat_limit AS "seat_limit?", c.prerequisite_ids AS "prerequisite_ids!", c.video_count AS "video_count!",
                  c.duration_seconds AS "duration_seconds!", c.version AS "version!", c.created_at AS "created_at!",
                  c.updated_at AS "updated_at!", c.published_at AS "published_at?"
           FROM catalog.courses c LEFT JOIN catalog.teachers t ON t.id = c.teacher_id
           WHERE c.is_active AND (c.is_published OR c.teacher_id = $1 OR $2)
             AND ($3::uuid IS NULL OR c.category_id = $3) AND ($4::uuid IS NULL OR c.teacher_id = $4)
             AND ($5::text IS NULL OR c.code = $5) AND ($6::text IS NULL OR c.academic_year = $6)
             AND ($7::uuid IS NULL OR c.id < $7)
           ORDER BY c.id DESC LIMIT $8"#,
        filter.drafts.of(),
        filter.drafts == Drafts::All,
        filter.category_id,
        filter.teacher_id,
        filter.code,
        filter.academic_year,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// What a search has found, and where it goes on: courses with its words, then titles that are nearly so written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub has_words: bool,
    pub rank: f64,
    pub id: Uuid,
}

struct Row {
    rank: f64,
    id: Uuid,
}

/// The best first, after `after`; `folded` is the query in one spelling. One query, and a second where the words do not fill the page.
pub async fn search(
    db: &Autocommit,
    folded: &str,
    filter: &Filter,
    after: Option<Found>,
    limit: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    let mut found = Vec::new();
    if after.is_none_or(|after| after.has_words) {
        found = with_words(db, folded, filter, after, limit).await?;
    }
    let left = limit - i64::try_from(found.len()).unwrap_or(limit);
    if left > 0 {
        let after = after.filter(|after| !after.has_words);
        found.extend(nearly_written(db, folded, filter, after, left).await?);
    }
    Ok(found)
}

/// By Turkish stems.
async fn with_words(
    db: impl PgExecutor<'_>,
    folded: &str,
    filter: &Filter,
    after: Option<Found>,
    limit: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT rank AS "rank!", id AS "id!" FROM (
               SELECT c.id, round(ts_rank(c.search, q.words)::numeric, 4)::float8 AS rank
               FROM catalog.courses c, websearch_to_tsquery('turkish', $1) AS q (words)
               WHERE c.search @@ q.words AND c.is_active AND (c.is_published OR c.teacher_id = $2 OR $3)
                 AND ($4::uuid IS NULL OR c.category_id = $4) AND ($5::uuid IS NULL OR c.teacher_id = $5)
                 AND ($6::text IS NULL OR c.code = $6) AND ($7::text IS NULL OR c.academic_year = $7)) found
           WHERE $8::float8 IS NULL OR (rank, id) < ($8, $9)
           ORDER BY rank DESC, id DESC LIMIT $10"#,
        folded,
        filter.drafts.of(),
        filter.drafts == Drafts::All,
        filter.category_id,
        filter.teacher_id,
        filter.code,
        filter.academic_year,
        after.map(|found| found.rank),
        after.map(|found| found.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.found(true)).collect())
}

/// By trigrams, without those that have the words. Of many such titles a thousand are ranked: what is only nearly meant may not cost
/// more, the larger the catalogue is.
async fn nearly_written(
    db: impl PgExecutor<'_>,
    folded: &str,
    filter: &Filter,
    after: Option<Found>,
    limit: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT rank AS "rank!", id AS "id!" FROM (
               SELECT c.id, round(extensions.word_similarity($1, c.title_folded)::numeric, 4)::float8 AS rank
               FROM catalog.courses c, websearch_to_tsquery('turkish', $1) AS q (words)
               WHERE $1 OPERATOR(extensions.<%) c.title_folded AND NOT c.search @@ q.words
                 AND c.is_active AND (c.is_published OR c.teacher_id = $2 OR $3)
                 AND ($4::uuid IS NULL OR c.category_id = $4) AND ($5::uuid IS NULL OR c.teacher_id = $5)
                 AND ($6::text IS NULL OR c.code = $6) AND ($7::text IS NULL OR c.academic_year = $7)
               LIMIT 1000) found
           WHERE $8::float8 IS NULL OR (rank, id) < ($8, $9)
           ORDER BY rank DESC, id DESC LIMIT $10"#,
        folded,
        filter.drafts.of(),
        filter.drafts == Drafts::All,
        filter.category_id,
        filter.teacher_id,
        filter.code,
        filter.academic_year,
        after.map(|found| found.rank),
        after.map(|found| found.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.found(false)).collect())
}

impl Row {
    fn found(self, has_words: bool) -> Found {
        Found {
            has_words,
            rank: self.rank,
            id: self.id,
        }
    }
}

/// Courses by id, in no particular order.
pub async fn by_ids(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Course>, sqlx::Error> {
    sqlx::query_as!(
        Course,
        r#"SELECT c.id AS "id!", c.title AS "title!", c.description AS "description!", c.teacher_id AS "teacher_id!",
                  t.full_name AS "teacher_name?", c.category_id AS "category_id?", c.code AS "code!",
                  c.academic_year AS "academic_year!", c.is_published AS "is_published!", c.is_active AS "is_active!",
                  c.seat_limit AS "seat_limit?", c.prerequisite_ids AS "prerequisite_ids!", c.video_count AS "video_count!",
                  c.duration_seconds AS "duration_seconds!", c.version AS "version!", c.created_at AS "created_at!",
                  c.updated_at AS "updated_at!", c.published_at AS "published_at?"
           FROM catalog.courses c LEFT JOIN catalog.teachers t ON t.id = c.teacher_id WHERE c.id = ANY($1)"#,
        ids,
    )
    .fetch_all(db)
    .await
}
