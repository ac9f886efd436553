//! Reads on a copy that follows the primary, behind it, and away.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::time::Duration;

use clock::Clock;
use dev_stack::servers::PrivatePostgres;
use postgres::{Autocommit, Database, DatabaseSettings};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

async fn is_replica(pool: &Autocommit) -> bool {
    sqlx::query_scalar("SELECT pg_is_in_recovery()")
        .fetch_one(pool)
        .await
        .unwrap()
}

async fn execute(pool: impl sqlx::PgExecutor<'_>, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

/// A server that goes with its data.
struct Server {
    folder: TempDir,
    postgres: PrivatePostgres,
}

impl Server {
    fn start(start: impl FnOnce(&Path) -> anyhow::Result<PrivatePostgres>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = start(folder.path()).unwrap();
        Self { folder, postgres }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.postgres.kill9();
        PrivatePostgres::remove_data(self.folder.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_caller_reads_what_they_wrote_whatever_the_copies_do() {
    let primary = Server::start(PrivatePostgres::start);
    let copy = Server::start(|folder| primary.postgres.start_replica(folder));
    let (primary, replica) = (&primary.postgres, &copy.postgres);
    let settings: DatabaseSettings = serde_json::from_value(json!({
        "url": primary.url(), "replica_urls": [replica.url()],
    }))
    .unwrap();
    let db = Database::connect(&settings, "public", Clock::system()).unwrap();
    execute(db.primary(), "CREATE TABLE notes (number integer)").await;
    let count = async || {
        let pool = db.reader().await;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM notes")
            .fetch_one(pool)
            .await
            .unwrap();
        (count, is_replica(pool).await)
    };
    let mut on_replica = 0;
    for number in 1..=200 {
        execute(db.primary(), "INSERT INTO notes VALUES (1)").await;
        let (found, is_replica) = count().await;
        assert_eq!(found, number, "a read that misses its own write");
        on_replica += usize::from(is_replica);
    }
    assert!(
        on_replica > 100,
        "only {on_replica} of 200 reads went to the copy"
    );

    // One that stands still.
    let follower = sqlx::PgPool::connect(&replica.url()).await.unwrap();
    execute(&follower, "SELECT pg_wal_replay_pause()").await;
    execute(db.primary(), "INSERT INTO notes VALUES (1)").await;
    assert_eq!(count().await, (201, false));
    execute(&follower, "SELECT pg_wal_replay_resume()").await;
    let followed = async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        count().await == (201, true)
    };
    let began = Instant::now();
    while !followed().await {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it is not asked any more"
        );
    }

    // One that hangs, and one that is away: reads go on, and only the first of them waits.
    replica.freeze();
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(count().await, (201, false));
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "every read waits for it"
    );
    replica.kill9();
    assert_eq!(count().await, (201, false));
}
