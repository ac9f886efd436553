//! Lists of courses and categories, on a real database and Redis.

use std::collections::HashSet;
use std::time::Duration;

use access_token::Caller;
use cache::{Cache, Redis, RedisSettings};
use clock::Clock;
use postgres::PageTokens;
use sqlx::AssertSqlSafe;
use test_support::{TestDatabase, TestRedis, count_queries, eventually};
use typed_id::CourseId;
use uuid::Uuid;

use super::nobody;
use crate::app::Catalog;
use crate::caching::Caching;
use crate::learners::Learners;
use crate::storage::course_lists::Filter;
use crate::usecases::list_courses::{Query, list_courses};
use crate::usecases::{categories, get_course};

pub struct School {
    pub app: Catalog,
    pub database: TestDatabase,
    pub redis: TestRedis,
}

/// As a process would connect to Redis.
pub async fn connect(url: &str, prefix: &str) -> Redis {
    let settings = RedisSettings {
        url: url.into(),
        prefix: prefix.into(),
    };
    let connection = Redis::connect(&settings).unwrap();
    eventually(Duration::from_secs(20), || async {
        connection.ping().await.then_some(())
    })
    .await;
    connection
}

impl School {
    /// With as many published courses, each of three topics and six videos, a half of them of a code and year of their own.
    pub async fn open(courses: usize) -> Self {
        let (database, redis) = (TestDatabase::new("catalog").await, TestRedis::new());
        let connection = connect(redis.url(), redis.prefix()).await;
        let school = Self {
            app: Catalog {
                db: database.database(),
                clock: Clock::system(),
                pages: PageTokens::new(b"a key"),
                caching: Caching::new(Cache::new(connection), Duration::from_mins(5)),
                auth: nobody("auth"),
                learners: Learners::new(nobody("enrollment")),
            },
            database,
            redis,
        };
        school
            .execute(format!(
                "INSERT INTO catalog.teachers (id, version, full_name) VALUES (gen_random_uuid(), 1, 'Deniz');
                 INSERT INTO catalog.categories (id, name, slug, created_at, updated_at)
                 SELECT gen_random_uuid(), 'Category ' || n, 'category-' || n, now(), now() FROM generate_series(1, 30) AS n;
                 INSERT INTO catalog.courses (id, title, teacher_id, category_id, code, academic_year, is_published, created_at, updated_at, published_at)
                 SELECT gen_random_uuid(), 'Diferansiyel denklemler ' || n, t.id, c.id,
                        CASE WHEN n % 2 = 0 THEN 'MAT' || n ELSE '' END, CASE WHEN n % 2 = 0 THEN '2026-2027' ELSE '' END,
                        true, now(), now(), now()
                 FROM generate_series(1, {courses}) AS n, catalog.teachers t, catalog.categories c WHERE c.slug = 'category-1';
                 INSERT INTO catalog.topics (id, course_id, title, order_index, created_at, updated_at)
                 SELECT gen_random_uuid(), id, 'Topic ' || n, n, now(), now() FROM catalog.courses, generate_series(1, 3) AS n;
                 INSERT INTO catalog.videos (id, course_id, topic_id, youtube_id, title, order_index, created_at, updated_at)
                 SELECT gen_random_uuid(), course_id, id, substr(md5(id::text || n), 1, 11), 'Video ' || n, n, now(), now()
                 FROM catalog.topics, generate_series(1, 2) AS n"
            ))
            .await;
        school
    }

    pub async fn execute(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(self.app.db.primary())
            .await
            .unwrap();
    }

    pub async fn id(&self, sql: &'static str) -> Uuid {
        sqlx::query_scalar(sql)
            .fetch_one(self.app.db.primary())
            .await
            .unwrap()
    }

    /// Waits until so many transactions of the service wait for a lock.
    pub async fn until_waiting(&self, transactions: i64) {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually(Duration::from_secs(20), || async {
            let waiting: i64 = sqlx::query_scalar(sql)
                .fetch_one(self.app.db.primary())
                .await
                .unwrap();
            (waiting == transactions).then_some(())
        })
        .await;
    }
}

fn query(search: Option<&str>, filter: Filter, size: i64) -> Query {
    Query {
        search: search.map(str::to_owned),
        filter,
        include_drafts: false,
        size,
        token: None,
    }
}

#[tokio::test]
async fn lists_cost_a_few_queries_however_long_they_are() {
    let school = School::open(120).await;
    for (search, most) in [(None, 1), (Some("diferansiyel"), 2)] {
        let ask = || {
            list_courses(
                &school.app,
                &Caller::Anonymous,
                query(search, Filter::default(), 100),
            )
        };
        let (page, queries) = count_queries(ask()).await;
        let page = page.unwrap();
        assert_eq!(
            (page.courses.len(), page.next_page_token.is_empty()),
            (100, false)
        );
        assert!(queries.count() <= most, "{:?}", queries.0);
        // A Redis that is slow to answer on a busy machine is not waited for, and then the database is asked.
        eventually(Duration::from_mins(1), || async {
            let (again, queries) = count_queries(ask()).await;
            assert_eq!(again.unwrap(), page);
            (queries.count() == 0).then_some(())
        })
        .await;
    }
    let (page, queries) = count_queries(categories::list(&school.app, 20, None)).await;
    assert_eq!((page.unwrap().0.len(), queries.count()), (20, 1));
    let course = CourseId(school.id("SELECT id FROM catalog.courses LIMIT 1").await);
    let ask = || get_course::get_course(&school.app, &Caller::Anonymous, course);
    let (detail, queries) = count_queries(ask()).await;
    let detail = detail.unwrap();
    assert_eq!((detail.topics.len(), detail.topics[0].videos.len()), (3, 2));
    assert!(queries.count() <= 3, "{:?}", queries.0);
    eventually(Duration::from_mins(1), || async {
        (count_queries(ask()).await.1.count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_search_goes_on_with_titles_that_are_nearly_so_written() {
    let school = School::open(25).await;
    school
        .execute(
            "UPDATE catalog.courses SET title = replace(title, 'Diferansiyel', 'Diferansyel')
             WHERE title ~ ' (3|14|25)$'"
                .to_owned(),
        )
        .await;
    let (mut titles, mut token) = (Vec::new(), None);
    loop {
        let mut query = query(Some("diferansiyel"), Filter::default(), 8);
        query.token = token;
        let page = list_courses(&school.app, &Caller::Anonymous, query)
            .await
            .unwrap();
        titles.extend(page.courses.into_iter().map(|course| course.title));
        token = Some(page.next_page_token).filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(titles.iter().collect::<HashSet<_>>().len(), 25);
    assert_eq!(titles.len(), 25);
    assert!(titles[..22].iter().all(|title| title.starts_with("Diferansiyel")));
}

#[tokio::test]
async fn pages_show_every_course_once_and_filters_hold() {
    let school = School::open(25).await;
    let (mut seen, mut token) = (HashSet::new(), None);
    loop {
        let mut query = query(None, Filter::default(), 10);
        query.token = token;
        let page = list_courses(&school.app, &Caller::Anonymous, query)
            .await
            .unwrap();
        assert!(page.courses.iter().all(|course| seen.insert(course.id.clone())));
        token = Some(page.next_page_token).filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    let teacher = school.id("SELECT id FROM catalog.teachers").await;
    let empty = school
        .id("SELECT id FROM catalog.categories WHERE slug = 'category-2'")
        .await;
    let filters = [
        (
            Filter {
                code: Some("MAT4".into()),
                ..Filter::default()
            },
            1,
        ),
        (
            Filter {
                academic_year: Some("2026-2027".into()),
                ..Filter::default()
            },
            12,
        ),
        (
            Filter {
                teacher_id: Some(teacher),
                ..Filter::default()
            },
            25,
        ),
        (
            Filter {
                category_id: Some(empty),
                ..Filter::default()
            },
            0,
        ),
        (
            Filter {
                code: Some("MAT4".into()),
                academic_year: Some("2025-2026".into()),
                ..Filter::default()
            },
            0,
        ),
    ];
    for (filter, count) in filters {
        let page = list_courses(&school.app, &Caller::Anonymous, query(None, filter.clone(), 100)).await;
        assert_eq!(page.unwrap().courses.len(), count, "{filter:?}");
    }
    // What is cached goes with a change.
    let course = CourseId(
        school
            .id("SELECT id FROM catalog.courses WHERE code = 'MAT4'")
            .await,
    );
    school
        .execute(format!(
            "UPDATE catalog.courses SET is_published = false WHERE id = '{course}'"
        ))
        .await;
    school.app.caching.forget(&[course]).await;
    let filter = Filter {
        code: Some("MAT4".into()),
        ..Filter::default()
    };
    let page = list_courses(&school.app, &Caller::Anonymous, query(None, filter, 100)).await;
    assert!(page.unwrap().courses.is_empty());
}
