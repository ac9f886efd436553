//! Write transactions against a real server: hang-ups, forgotten errors, forgotten transactions.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use postgres::{Database, DatabaseSettings, WriteError, problem_of, violated_constraint};
use problem::codes;
use sqlx::{Connection, Executor};
use test_support::{TestDatabase, TestProxy, eventually};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

/// A pool of `connections` and a table to write to.
async fn prepared(test: &TestDatabase, connections: u32) -> Database {
    let settings = DatabaseSettings {
        max_connections: connections,
        acquire_timeout_seconds: 30,
        ..test.settings()
    };
    let db = Database::connect(&settings, "notification", clock::Clock::system()).unwrap();
    db.primary()
        .execute("CREATE TABLE entries (id uuid PRIMARY KEY, positive int NOT NULL CONSTRAINT is_positive CHECK (positive > 0))")
        .await
        .unwrap();
    db
}

async fn insert(db: &Database, id: Uuid) -> Result<(), WriteError> {
    db.write(move |mut tx| async move {
        sqlx::query("INSERT INTO entries VALUES ($1, 1)")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit(()).await
    })
    .await
}

async fn stored(test: &TestDatabase) -> Vec<Uuid> {
    sqlx::query_scalar("SELECT id FROM notification.entries")
        .fetch_all(&mut test.superuser().await)
        .await
        .unwrap()
}

async fn in_transaction(test: &TestDatabase) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'",
    )
    .fetch_one(&mut test.superuser().await)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_clients_that_hang_up_leave_no_transaction_and_lose_no_later_write() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 4).await;
    let mut acknowledged = Vec::new();
    for _ in 0..20 {
        let hang_ups = (0..100).map(|_| {
            let (db, after) = (db.clone(), Duration::from_micros(rand::random_range(0..8_000)));
            tokio::spawn(async move {
                let id = Uuid::from_u128(rand::random());
                tokio::time::timeout(after, insert(&db, id))
                    .await
                    .ok()
                    .map(|done| done.map(|()| id))
            })
        });
        for answer in futures::future::join_all(hang_ups).await {
            acknowledged.extend(answer.unwrap().transpose().unwrap());
        }
        let later = Uuid::from_u128(rand::random());
        insert(&db, later).await.unwrap();
        acknowledged.push(later);
    }
    eventually(PATIENCE, || async {
        (in_transaction(&test).await == 0).then_some(())
    })
    .await;
    let stored = stored(&test).await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost",
        lost.len(),
        acknowledged.len()
    );
}

/// What sqlx 0.9.0 does to a dropped `begin`, made by hand.
#[tokio::test]
async fn a_forgotten_transaction_ends_with_its_release() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 1).await;
    let mut forgetful = db.pool().acquire().await.unwrap();
    forgetful.execute(sqlx::raw_sql("BEGIN")).await.unwrap();
    drop(forgetful);
    let id = Uuid::from_u128(1);
    sqlx::query("INSERT INTO entries VALUES ($1, 1)")
        .bind(id)
        .execute(db.primary())
        .await
        .unwrap();
    assert_eq!(stored(&test).await, [id]);
    assert_eq!(in_transaction(&test).await, 0);
}

/// How the server plans statements here, asked on the only connection there is.
async fn planning(connection: &mut sqlx::PgConnection) -> String {
    sqlx::query_scalar("SELECT current_setting('plan_cache_mode')")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn plans_are_made_once_in_a_write_and_for_values_outside() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 1).await;
    for commits in [true, false] {
        let written: Result<[String; 2], WriteError> = db
            .write(move |mut tx| async move {
                let first = planning(&mut tx).await;
                tx.plan_for_values().await?;
                let both = [first, planning(&mut tx).await];
                if commits {
                    tx.commit(both).await
                } else {
                    tx.rollback(both).await
                }
            })
            .await;
        assert_eq!(written.unwrap(), ["force_generic_plan", "auto"]);
        let outside: String = sqlx::query_scalar("SELECT current_setting('plan_cache_mode')")
            .fetch_one(db.primary())
            .await
            .unwrap();
        assert_eq!(outside, "auto");
    }
}

#[tokio::test]
async fn a_swallowed_error_is_no_acknowledged_write() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 1).await;
    let written = db
        .write(|mut tx| async move {
            tx.execute(sqlx::raw_sql("INSERT INTO entries VALUES (gen_random_uuid(), 1)"))
                .await?;
            let _ = tx.execute(sqlx::raw_sql("SELECT no_such_column")).await;
            tx.commit(()).await
        })
        .await;
    assert!(matches!(written, Err(WriteError::Database(_))), "{written:?}");
    assert!(stored(&test).await.is_empty());
    insert(&db, Uuid::from_u128(2)).await.unwrap();
}

#[tokio::test]
async fn work_for_after_the_commit_is_done_after_it_and_only_then() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 1).await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    for (number, commits) in [(1, false), (2, true)] {
        let sender = sender.clone();
        db.write(move |mut tx| async move {
            tx.after_commit(move || sender.send(number).unwrap());
            if commits {
                tx.commit(()).await
            } else {
                tx.rollback(()).await
            }
        })
        .await
        .unwrap_or_else(|fault: WriteError| panic!("{fault}"));
    }
    assert_eq!((told.try_recv().ok(), told.try_recv().ok()), (Some(2), None));
}

#[tokio::test]
async fn a_use_case_that_fails_or_panics_writes_nothing() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 1).await;
    let failed: Result<(), WriteError> = db
        .write(|mut tx| async move {
            tx.execute(sqlx::raw_sql("INSERT INTO entries VALUES (gen_random_uuid(), 1)"))
                .await?;
            Err(sqlx::Error::RowNotFound.into())
        })
        .await;
    assert!(matches!(
        failed,
        Err(WriteError::Database(sqlx::Error::RowNotFound))
    ));
    let died: Result<(), WriteError> = db
        .write(|mut tx| async move {
            tx.execute(sqlx::raw_sql("INSERT INTO entries VALUES (gen_random_uuid(), 1)"))
                .await?;
            panic!("a fault in a use case");
        })
        .await;
    assert!(matches!(died, Err(WriteError::Interrupted(_))));
    assert!(stored(&test).await.is_empty());
    let on_purpose = db.write(|tx| async move { tx.rollback(7).await }).await;
    assert_eq!(on_purpose.unwrap(), 7);
}

#[tokio::test]
async fn constraints_have_names_and_bad_values_are_the_inputs_fault() {
    let test = TestDatabase::new("notification").await;
    let db = prepared(&test, 1).await;
    let id = Uuid::from_u128(3);
    insert(&db, id).await.unwrap();
    let Err(WriteError::Database(twice)) = insert(&db, id).await else {
        panic!("inserted twice")
    };
    assert_eq!(violated_constraint(&twice), Some("entries_pkey"));
    let fail = async |sql: &'static str| db.primary().execute(sql).await.unwrap_err();
    let negative = fail("INSERT INTO entries VALUES (gen_random_uuid(), -1)").await;
    assert_eq!(violated_constraint(&negative), Some("is_positive"));
    assert_eq!(problem_of(negative).code(), &codes::VALIDATION_FAILED);
    let nul = sqlx::query("SELECT $1::text")
        .bind("a\0b")
        .execute(db.primary())
        .await
        .unwrap_err();
    assert_eq!(problem_of(nul).code(), &codes::VALIDATION_FAILED);
    let unknown = fail("SELECT no_such_column").await;
    assert_eq!(problem_of(unknown).code(), &codes::INTERNAL);
}

#[tokio::test]
async fn fault_a_cut_connection_is_replaced_and_a_missing_server_is_said_to_be_away() {
    let test = TestDatabase::new("notification").await;
    prepared(&test, 1).await;
    let proxy = TestProxy::before(&test.url(), 5432).await;
    let settings = DatabaseSettings {
        url: proxy.url(&test.url()).into(),
        acquire_timeout_seconds: 1,
        ..test.settings()
    };
    let db = Database::connect(&settings, "notification", clock::Clock::system()).unwrap();
    insert(&db, Uuid::from_u128(4)).await.unwrap();
    proxy.cut();
    eventually(PATIENCE, || async { db.ping().await.then_some(()) }).await;
    insert(&db, Uuid::from_u128(5)).await.unwrap();
    proxy.cut();
    drop(proxy);
    let away = insert(&db, Uuid::from_u128(6)).await.unwrap_err();
    assert_eq!(problem::Problem::from(away).code(), &codes::UNAVAILABLE);
    assert!(!db.ping().await);
}

#[tokio::test]
async fn migrations_are_applied_once_and_pending_ones_are_counted() {
    let test = TestDatabase::new("notification").await;
    let mut own = sqlx::PgConnection::connect(&test.url()).await.unwrap();
    assert_eq!(
        postgres::pending(&mut own, "notification", None).await.unwrap(),
        0
    );
    postgres::migrate(&mut own, "notification", None).await.unwrap();
    let limit: String = sqlx::query_scalar("SHOW statement_timeout")
        .fetch_one(&mut own)
        .await
        .unwrap();
    assert_eq!(limit, "0", "an index may take longer than the role's statements");
    own.execute("DELETE FROM notification._platform_migrations WHERE version = (SELECT max(version) FROM notification._platform_migrations)")
        .await
        .unwrap();
    assert_eq!(
        postgres::pending(&mut own, "notification", None).await.unwrap(),
        1
    );
}
