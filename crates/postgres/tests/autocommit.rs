//! Single statements on connections that are handed on.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use futures::future::join_all;
use postgres::{Database, DatabaseSettings};
use sqlx::{Connection, Executor, PgConnection};
use test_support::{TestDatabase, TestProxy, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

async fn pool_of(test: &TestDatabase, connections: u32) -> Database {
    let settings = DatabaseSettings {
        max_connections: connections,
        acquire_timeout_seconds: 30,
        ..test.settings()
    };
    let db = Database::connect(&settings, "notification", clock::Clock::system()).unwrap();
    db.primary()
        .execute("CREATE TABLE entries (id int PRIMARY KEY)")
        .await
        .unwrap();
    db
}

/// Ends the server's side of all connections of the service.
async fn end_all(test: &TestDatabase) {
    let mut superuser: PgConnection = test.superuser().await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut superuser)
    .await
    .unwrap();
}

async fn read(db: &Database, number: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT $1::int")
        .bind(number)
        .fetch_one(db.primary())
        .await
}

async fn write(db: &Database, number: i32) -> Result<u64, sqlx::Error> {
    let insert = sqlx::query("INSERT INTO entries VALUES ($1)").bind(number);
    insert
        .execute(db.primary())
        .await
        .map(|done| done.rows_affected())
}

/// As after a failover: all connections are dead, and nobody has noticed.
#[tokio::test(flavor = "multi_thread")]
async fn fault_dead_connections_cost_nobody_an_answer_and_no_row_is_written_twice() {
    let test = TestDatabase::new("notification").await;
    let db = pool_of(&test, 8).await;
    for round in 0..10 {
        let numbers = (round * 40)..(round * 40 + 40);
        join_all(numbers.clone().map(|number| read(&db, number))).await;
        end_all(&test).await;
        let (reads, writes) = tokio::join!(
            join_all(numbers.clone().map(|number| read(&db, number))),
            join_all(numbers.clone().map(|number| write(&db, number))),
        );
        let reads: Vec<_> = reads.into_iter().map(Result::unwrap).collect();
        assert_eq!(reads, numbers.collect::<Vec<_>>());
        assert!(writes.into_iter().all(|written| written.unwrap() == 1));
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM entries")
        .fetch_one(db.primary())
        .await
        .unwrap();
    assert_eq!(rows, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_a_connection_of_their_own_gets_one_while_all_others_are_busy() {
    let test = TestDatabase::new("notification").await;
    let db = pool_of(&test, 3).await;
    let busy = tokio::spawn({
        let db = db.clone();
        async move {
            loop {
                join_all((0..50).map(|number| read(&db, number))).await;
            }
        }
    });
    for _ in 0..20 {
        let mut own = db.pool().acquire().await.unwrap();
        own.ping().await.unwrap();
    }
    assert!(!busy.is_finished());
    busy.abort();
}

#[tokio::test]
async fn a_read_that_is_given_up_leaves_its_answer_to_nobody_else() {
    let test = TestDatabase::new("notification").await;
    let db = pool_of(&test, 2).await;
    for number in 0..50 {
        let slow = sqlx::query_scalar::<_, i32>("SELECT $1::int FROM pg_sleep(0.05)")
            .bind(-1)
            .fetch_one(db.primary());
        assert!(
            tokio::time::timeout(Duration::from_millis(5), slow)
                .await
                .is_err()
        );
        assert_eq!(read(&db, number).await.unwrap(), number);
    }
}

#[tokio::test]
async fn a_refused_statement_does_not_spoil_the_connection() {
    let test = TestDatabase::new("notification").await;
    let db = pool_of(&test, 2).await;
    write(&db, 1).await.unwrap();
    for number in 0..20 {
        assert!(matches!(write(&db, 1).await, Err(sqlx::Error::Database(_))));
        assert_eq!(read(&db, number).await.unwrap(), number);
    }
    let many: Vec<i32> = sqlx::query_scalar("SELECT * FROM generate_series(1, 5000)")
        .fetch_all(db.primary())
        .await
        .unwrap();
    assert_eq!(many.len(), 5000);
}

/// A server whose host is gone without a word: who gives up leaves no place in the pool behind, and nobody waits for long.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a_server_that_falls_silent_takes_no_place_in_the_pool_with_it() {
    let test = TestDatabase::new("notification").await;
    let proxy = TestProxy::before(&test.url(), 5432).await;
    let settings = DatabaseSettings {
        url: proxy.url(&test.url()).into(),
        max_connections: 4,
        acquire_timeout_seconds: 1,
        ..test.settings()
    };
    let db = Database::connect(&settings, "notification", clock::Clock::system()).unwrap();
    join_all((0..40).map(|number| read(&db, number))).await;
    assert!(db.pool().size() > 0);
    proxy.freeze();
    let given_up = (0..12).map(|number| tokio::time::timeout(Duration::from_millis(300), read(&db, number)));
    assert!(join_all(given_up).await.iter().all(Result::is_err));
    // The ones that are silent are closed, and no others come.
    let refused = eventually(PATIENCE, || async {
        let answer = write(&db, 1).await;
        (db.pool().size() <= 1).then_some(answer)
    });
    assert!(refused.await.is_err());
    assert!(!db.ping().await);
    proxy.cut();
    proxy.thaw();
    eventually(PATIENCE, || async { read(&db, 7).await.ok() }).await;
    let reads = join_all((0..40).map(|number| read(&db, number))).await;
    assert!(reads.iter().all(Result::is_ok), "{reads:?}");
}
