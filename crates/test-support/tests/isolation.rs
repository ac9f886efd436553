//! Tests do not see each other.

use std::time::Duration;

use sqlx::Connection;
use test_support::{TestBroker, TestDatabase, TestRedis, count_queries, eventually, fixed_clock};

#[tokio::test]
async fn databases_are_apart_belong_to_their_service_and_go_at_the_end() {
    let (one, other) = tokio::join!(TestDatabase::new("auth"), TestDatabase::new("auth"));
    assert_ne!(one.url(), other.url());
    let db = one.database_with(fixed_clock());
    let (schema, role): (String, String) =
        sqlx::query_as("SELECT current_schema()::text, current_user::text")
            .fetch_one(db.primary())
            .await
            .unwrap();
    assert_eq!((schema.as_str(), role.as_str()), ("auth", "sctest_auth"));
    let foreign = sqlx::query("CREATE TABLE catalog.mine ()")
        .execute(db.primary())
        .await;
    assert!(foreign.is_err());
    let gone = one.url();
    drop((db, one));
    assert!(sqlx::PgConnection::connect(&gone).await.is_err());
}

#[tokio::test]
async fn statements_are_counted_also_in_write_transactions() {
    let test = TestDatabase::new("auth").await;
    let db = test.database();
    let ((), queries) = count_queries(async {
        sqlx::query("SELECT 1").execute(db.primary()).await.unwrap();
        db.write(|mut tx| async move {
            sqlx::query("SELECT 2, 3, 4, 5, 6").execute(&mut *tx).await?;
            tx.commit(()).await
        })
        .await
        .map_err(|fault: postgres::WriteError| fault)
        .unwrap();
    })
    .await;
    assert_eq!(queries.count(), 2, "{queries:?}");
    assert!(
        queries.0.contains(&"SELECT 2, 3, 4, 5, 6".to_owned()),
        "{queries:?}"
    );
}

#[tokio::test]
async fn a_vhost_answers_and_a_prefix_is_unique() {
    let broker = TestBroker::new().await;
    let (connection, channel) = broker.connect().await;
    assert_eq!(broker.messages("no.such.queue").await, 0);
    broker.close_connections().await;
    eventually(Duration::from_secs(10), || async {
        (!channel.status().connected()).then_some(())
    })
    .await;
    drop(connection);
    assert_ne!(TestRedis::new().prefix(), TestRedis::new().prefix());
}
