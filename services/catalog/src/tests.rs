//! The service on a real database and a real Redis, without its server.

mod changes;
mod content;
mod lists;

use std::time::Duration;

use cache::{Cache, Redis};
use clock::Clock;
use postgres::PageTokens;
use rpc_client::{RpcClient, RpcSettings};
use sqlx::AssertSqlSafe;
use test_support::{TestDatabase, TestRedis, count_queries, eventually};
use tokio_util::sync::CancellationToken;

use crate::app::Catalog;
use crate::caching::Caching;
use crate::jobs::warm;
use crate::learners::Learners;

/// Nobody listens there.
fn nobody(name: &'static str) -> RpcClient {
    let settings: RpcSettings = serde_json::from_str(r#"{"timeout_seconds": 1, "connections": 1}"#).unwrap();
    RpcClient::new(name, "http://127.0.0.1:1", &settings, None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_most_visitors_look_at_is_in_the_cache_before_they_do() {
    let (database, server) = (TestDatabase::new("catalog").await, TestRedis::new());
    let settings =
        serde_json::from_value(serde_json::json!({"url": server.url(), "prefix": server.prefix()})).unwrap();
    let redis = Redis::connect(&settings).unwrap();
    eventually(Duration::from_mins(1), || async {
        redis.ping().await.then_some(())
    })
    .await;
    let app = Catalog {
        db: database.database(),
        clock: Clock::system(),
        pages: PageTokens::new(b"a key"),
        caching: Caching::new(Cache::new(redis), Duration::from_mins(5)),
        auth: nobody("auth"),
        learners: Learners::new(nobody("enrollment")),
    };
    let courses = "INSERT INTO catalog.courses (id, title, teacher_id, is_published, created_at, updated_at, published_at)
                   SELECT gen_random_uuid(), 'Course ' || number, gen_random_uuid(), number <= 25, now(), now(), now()
                   FROM generate_series(1, 30) AS number";
    sqlx::raw_sql(AssertSqlSafe(courses))
        .execute(app.db.primary())
        .await
        .unwrap();
    let go_on = CancellationToken::new();
    assert_eq!(warm(&app, &go_on).await.unwrap(), (2, 25));
    // A Redis that is slow to answer on a busy machine is not waited for, and then the database is asked.
    eventually(Duration::from_mins(1), || async {
        let (again, queries) = count_queries(warm(&app, &go_on)).await;
        assert_eq!(again.unwrap(), (2, 25));
        (queries.count() == 0).then_some(())
    })
    .await;
}
