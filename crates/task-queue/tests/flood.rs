//! Many tasks and events at once, many of them delivered more than once, while the processes that handle them and the broker are
//! killed: nothing is lost, and nothing is done twice. `FLOOD=50000 cargo test -p task-queue --test flood -- --nocapture` is
//! the large one, of 100,000 in all.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "the figure is what it is run for")]
#![expect(
    clippy::disallowed_methods,
    reason = "the size, and where the processes that are killed find their servers, come by the environment"
)]

#[path = "flood/process.rs"]
mod process;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contracts::events::v1::UserRegistered;
use dev_stack::servers::PrivateRabbit;
use event_bus::outbox;
use postgres::{Database, WriteError};
use process::Note;
use sqlx::{AssertSqlSafe, Executor};
use task_queue::enqueue_all;
use tempfile::TempDir;
use test_support::{TestDatabase, eventually};

/// Of tasks, and as many of events.
const SIZE: i64 = 2_500;
const PROCESSES: usize = 3;
/// The broker is killed this often, at equal shares of the work.
const BROKER_KILLS: i64 = 2;
/// Tasks, and events, of one transaction.
const WRITE: i64 = 500;
/// So many parts of the work are done between two kills.
const PART: i64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_flood_with_duplicates_kills_and_a_broker_that_dies_loses_and_doubles_nothing() {
    let size: i64 = std::env::var("FLOOD").map_or(SIZE, |size| size.parse().unwrap());
    let (database, mut broker) = tokio::join!(TestDatabase::new("video_progress"), Broker::start());
    let db = database.database();
    db.primary()
        .execute("CREATE TABLE effects (what text, number integer); CREATE TABLE repeats (repeats bigint)")
        .await
        .unwrap();
    let mut processes: Vec<Process> = (0..PROCESSES)
        .map(|_| start_process(&database, &broker.rabbit))
        .collect();
    let (began, mut kills, mut broker_kills) = (Instant::now(), 0, 0);
    let writing = tokio::spawn(write_all(db.clone(), size));
    loop {
        let before = effects(&db).await;
        if before >= 2 * size {
            break;
        }
        wait_for_more(&db, (before + 2 * size / PART).min(2 * size)).await;
        repeat_some(&db).await;
        let victim = kills % PROCESSES;
        processes[victim].kill();
        kills += 1;
        if broker_kills < BROKER_KILLS
            && effects(&db).await > (broker_kills + 1) * 2 * size / (BROKER_KILLS + 2)
        {
            broker.kill_and_start().await;
            broker_kills += 1;
        }
        processes[victim] = start_process(&database, &broker.rabbit);
    }
    writing.await.unwrap();
    let took = began.elapsed();
    // What was repeated last has still to be recognised.
    settled(&db).await;
    drop(processes);
    for what in ["task", "event"] {
        let all = format!("SELECT count(*) FROM effects WHERE what = '{what}'");
        let different = format!("SELECT count(DISTINCT number) FROM effects WHERE what = '{what}'");
        assert_eq!(
            (count(&db, &all).await, count(&db, &different).await),
            (size, size),
            "{what}s"
        );
    }
    assert_eq!(
        count(&db, "SELECT count(*) FROM tasks WHERE state <> 'succeeded'").await,
        0
    );
    assert_eq!(
        count(&db, "SELECT count(*) FROM inbox_failures WHERE dead").await,
        0
    );
    assert_eq!(broker_kills, BROKER_KILLS);
    let repeated = count(&db, "SELECT coalesce(sum(repeats), 0)::bigint FROM repeats").await;
    let again = count(&db, "SELECT sum(attempts - 1)::bigint FROM tasks").await;
    println!(
        "{size} tasks and {size} events in {took:.0?}, {repeated} published once more, {kills} kills of processes, \
         {broker_kills} of the broker: 0 lost, 0 doubled; {again} tasks were begun again"
    );
}

/// Another process of this program; see `flood/process.rs`. It ends with this value.
struct Process(Child);

impl Process {
    /// SIGKILL.
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start_process(database: &TestDatabase, broker: &PrivateRabbit) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::process", "--ignored"])
        .env("FLOOD_DATABASE", database.url())
        .env("FLOOD_BROKER", broker.url())
        .stdout(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

/// A broker of the test's own, which ends with this value.
struct Broker {
    rabbit: PrivateRabbit,
    folder: TempDir,
}

impl Broker {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            rabbit: start_rabbit(&folder).await,
            folder,
        }
    }

    async fn kill_and_start(&mut self) {
        self.rabbit.kill9();
        self.rabbit = start_rabbit(&self.folder).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.rabbit.kill9();
    }
}

async fn start_rabbit(folder: &TempDir) -> PrivateRabbit {
    let path = folder.path().to_owned();
    let starting = tokio::task::spawn_blocking(move || PrivateRabbit::start(&path).unwrap());
    starting.await.unwrap()
}

/// Writes all tasks and events, beside as many that are rolled back.
async fn write_all(db: Database, size: i64) {
    for first in (0..size).step_by(usize::try_from(WRITE).unwrap()) {
        for is_meant in [false, true] {
            let numbers = i32::try_from(first).unwrap()..i32::try_from((first + WRITE).min(size)).unwrap();
            let notes: Vec<Note> = numbers.clone().map(|number| Note { number }).collect();
            let events: Vec<UserRegistered> = numbers
                .map(|version| UserRegistered {
                    user_id: (version % 1_000).to_string(),
                    version,
                    ..UserRegistered::default()
                })
                .collect();
            let written = db.write::<_, WriteError, _, _>(move |mut tx| async move {
                enqueue_all(&mut tx, &notes).await?;
                outbox::append_all(&mut tx, &events).await?;
                if is_meant {
                    tx.commit(()).await
                } else {
                    tx.rollback(()).await
                }
            });
            written.await.unwrap();
        }
    }
}

/// Has a sixteenth of what was published published once more.
async fn repeat_some(db: &Database) {
    let statement = "WITH repeated AS (
            UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL AND id::text LIKE '%' || $1 RETURNING id)
        INSERT INTO repeats SELECT count(*) FROM repeated";
    sqlx::query(statement)
        .bind(format!("{:x}", rand::random::<u8>() % 16))
        .execute(db.primary())
        .await
        .unwrap();
}

/// Not for ever: while what is left belongs to processes that were killed, the next kill comes all the same.
async fn wait_for_more(db: &Database, wanted: i64) {
    let limit = Instant::now() + Duration::from_secs(20);
    while effects(db).await < wanted && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until all is published and nothing more is begun.
async fn settled(db: &Database) {
    let seen = std::sync::Mutex::new((0, Instant::now()));
    eventually(Duration::from_mins(2), || async {
        let left = count(db, "SELECT count(*) FROM outbox WHERE published_at IS NULL").await;
        let begun = count(db, "SELECT sum(fencing)::bigint FROM tasks").await;
        let mut seen = seen.lock().unwrap();
        if left > 0 || seen.0 != begun {
            *seen = (begun, Instant::now());
        }
        (seen.1.elapsed() > Duration::from_secs(5)).then_some(())
    })
    .await;
}

async fn effects(db: &Database) -> i64 {
    count(db, "SELECT count(*) FROM effects").await
}

async fn count(db: &Database, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(db.primary())
        .await
        .unwrap()
}
