//! Several instances, one database: each due time once.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use postgres::{Database, WriteError};
use scheduler::{Job, LeaseLost, RunContext, Scheduler, Settings};
use sqlx::{AssertSqlSafe, Executor};
use test_support::{TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_mins(1);
/// So long that nobody takes anything over.
const FOR_GOOD: Duration = Duration::from_hours(1);
const YEARLY: &str = "0 0 1 1 *";

struct School {
    db: Database,
    database: TestDatabase,
}

/// One process's scheduler.
struct Instance {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Instance {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// Ends it in the middle of whatever it does, its lease kept.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn quick(lease: Duration) -> Settings {
    Settings {
        lease,
        poll: Duration::from_millis(20),
        retry_pause: Duration::from_millis(10),
        ..Settings::default()
    }
}

impl School {
    async fn open() -> Self {
        let database = TestDatabase::new("notification").await;
        let db = database.database();
        db.primary()
            .execute("CREATE TABLE effects (job text, due timestamptz, instance text)")
            .await
            .unwrap();
        Self { db, database }
    }

    /// Another process: a pool of its own.
    fn start(&self, name: &str, jobs: Vec<Job>, settings: Settings) -> Instance {
        let scheduler = Scheduler::new(self.database.database(), jobs, name, settings).unwrap();
        let stop = CancellationToken::new();
        Instance {
            task: tokio::spawn(scheduler.run(stop.clone())),
            stop,
        }
    }

    /// The jobs are known to the database and nothing is due yet.
    async fn register(&self, jobs: Vec<Job>) {
        let instance = self.start("registrar", jobs, quick(FOR_GOOD));
        self.until("SELECT count(*) > 0 FROM scheduled_jobs").await;
        instance.stop().await;
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.db.primary()).await.unwrap();
    }

    async fn scalar<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(self.db.primary())
            .await
            .unwrap()
    }

    async fn until(&self, sql: &'static str) {
        eventually(PATIENCE, || async {
            self.scalar::<bool>(sql).await.then_some(())
        })
        .await;
    }

    /// A job whose effect is a row.
    fn effect(&self, name: &'static str, cron: &str) -> Job {
        let db = self.db.clone();
        Job::new(name, cron, move |run| {
            let db = db.clone();
            async move {
                sqlx::query("INSERT INTO effects VALUES ($1, $2, '')")
                    .bind(name)
                    .bind(run.scheduled_for())
                    .execute(db.primary())
                    .await?;
                Ok("wrote a row".to_owned())
            }
        })
        .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_run_each_of_fifty_due_times_once() {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let school = School::open().await;
    let jobs = || NAMES.map(|name| school.effect(name, "* * * * * *")).to_vec();
    let instances = ["one", "two", "three"].map(|name| school.start(name, jobs(), quick(FOR_GOOD)));
    school
        .until("SELECT count(*) >= 50 FROM job_runs WHERE state = 'succeeded'")
        .await;
    for instance in instances {
        instance.stop().await;
    }
    let doubled = "SELECT count(*) - count(DISTINCT (job, due)) FROM effects";
    assert_eq!(school.scalar::<i64>(doubled).await, 0);
    let unlike =
        "SELECT count(*) FROM effects e FULL JOIN job_runs r ON r.job = e.job AND r.scheduled_for = e.due
                  WHERE e.job IS NULL OR r.state IS DISTINCT FROM 'succeeded' OR r.attempts <> 1";
    assert_eq!(school.scalar::<i64>(unlike).await, 0);
    // From the first to the last, each second was run, or is counted as one that a busy machine missed.
    let unaccounted = "SELECT count(*) FROM (
        SELECT extract(epoch FROM scheduled_for - lag(scheduled_for) OVER (PARTITION BY job ORDER BY scheduled_for)) - 1 AS gap, skipped
        FROM job_runs) AS runs WHERE gap <> skipped";
    assert_eq!(school.scalar::<i64>(unaccounted).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_that_dies_had_begun_is_taken_over_after_its_lease() {
    let school = School::open().await;
    let stuck = Job::new("report", YEARLY, |_| std::future::pending()).unwrap();
    school.register(vec![stuck.clone()]).await;
    school
        .execute("UPDATE scheduled_jobs SET next_due_at = next_due_at - interval '1 year'")
        .await;
    let first = school.start("first", vec![stuck], quick(Duration::from_secs(2)));
    school
        .until("SELECT count(*) = 1 FROM job_runs WHERE state = 'running' AND instance = 'first'")
        .await;
    first.kill().await;
    let second = school.start(
        "second",
        vec![school.effect("report", YEARLY)],
        quick(Duration::from_secs(2)),
    );
    school
        .until("SELECT count(*) = 1 FROM job_runs WHERE state = 'succeeded'")
        .await;
    second.stop().await;
    let run = "SELECT format('%s %s %s %s', instance, attempts, detail, fencing)
               FROM job_runs r JOIN scheduled_jobs j ON j.name = r.job";
    assert_eq!(school.scalar::<String>(run).await, "second 2 wrote a row 2");
    assert_eq!(school.scalar::<i64>("SELECT count(*) FROM effects").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lease_is_cancelled_and_can_write_nothing_more() {
    let school = School::open().await;
    let (told, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (db, seen, shut_out) = (school.db.clone(), Arc::clone(&told), Arc::clone(&refused));
    let job = Job::new("report", YEARLY, move |run: RunContext| {
        let (db, seen, shut_out) = (db.clone(), Arc::clone(&seen), Arc::clone(&shut_out));
        // In a task of its own, as work that goes on although its job was aborted.
        async move {
            let before = write(&db, &run).await;
            anyhow::ensure!(before.is_ok(), "the lease holds at first");
            tokio::spawn(async move {
                run.stop().cancelled().await;
                seen.store(true, Ordering::SeqCst);
                let after = write(&db, &run).await;
                shut_out.store(
                    matches!(after, Err(Refused::Lease(LeaseLost::Lost))),
                    Ordering::SeqCst,
                );
            });
            std::future::pending().await
        }
    })
    .unwrap();
    school.register(vec![job.clone()]).await;
    school
        .execute("UPDATE scheduled_jobs SET next_due_at = next_due_at - interval '1 year'")
        .await;
    let instance = school.start("first", vec![job], quick(Duration::from_secs(1)));
    school.until("SELECT count(*) = 1 FROM effects").await;
    // As who takes it over does.
    school
        .execute("UPDATE scheduled_jobs SET fencing = fencing + 1, lease_owner = 'other', lease_until = 'infinity'")
        .await;
    eventually(PATIENCE, || async {
        (told.load(Ordering::SeqCst) && refused.load(Ordering::SeqCst)).then_some(())
    })
    .await;
    instance.stop().await;
    assert_eq!(school.scalar::<i64>("SELECT count(*) FROM effects").await, 1);
    // What the run came to is the other's to say.
    assert_eq!(
        school.scalar::<String>("SELECT state FROM job_runs").await,
        "running"
    );
}

#[derive(Debug)]
enum Refused {
    Lease(LeaseLost),
    Write,
}

impl From<WriteError> for Refused {
    fn from(_: WriteError) -> Self {
        Self::Write
    }
}

async fn write(db: &Database, run: &RunContext) -> Result<(), Refused> {
    let run = run.clone();
    db.write(|mut tx| async move {
        run.hold(&mut tx).await.map_err(Refused::Lease)?;
        tx.execute("INSERT INTO effects DEFAULT VALUES")
            .await
            .map_err(|_| Refused::Write)?;
        Ok(tx.commit(()).await?)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_made_up_for_once_where_it_is_wanted_and_not_while_paused() {
    let school = School::open().await;
    let jobs = || {
        vec![
            school.effect("wanted", YEARLY),
            school.effect("unwanted", YEARLY).without_catch_up(),
            school.effect("paused", YEARLY),
        ]
    };
    school.register(jobs()).await;
    // Down for five years.
    school
        .execute(
            "UPDATE scheduled_jobs SET paused = name = 'paused', next_due_at = next_due_at - interval '5 years'",
        )
        .await;
    let instances = ["one", "two", "three"].map(|name| school.start(name, jobs(), quick(FOR_GOOD)));
    school
        .until("SELECT bool_and(next_due_at > clock_timestamp() AND lease_until IS NULL) FROM scheduled_jobs")
        .await;
    for instance in instances {
        instance.stop().await;
    }
    let wanted =
        "SELECT string_agg(format('%s %s', state, skipped), ',' ORDER BY scheduled_for) FROM job_runs
                  WHERE job = 'wanted'";
    assert_eq!(school.scalar::<String>(wanted).await, "succeeded 4");
    let others = "SELECT count(*) FROM job_runs WHERE job <> 'wanted'";
    assert_eq!(school.scalar::<i64>(others).await, 0);
    assert_eq!(school.scalar::<i64>("SELECT count(*) FROM effects").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_its_limits_is_told_then_aborted_and_tried_three_times() {
    let school = School::open().await;
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let job = Job::new("report", YEARLY, move |run: RunContext| {
        let count = Arc::clone(&count);
        async move {
            run.stop().cancelled().await;
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    })
    .unwrap()
    .limits(Duration::from_millis(50), Duration::from_millis(500));
    school.register(vec![job.clone()]).await;
    // As an operator asks for a run.
    school
        .execute("INSERT INTO job_runs (job, scheduled_for, state, next_try_at) VALUES ('report', now(), 'queued', now())")
        .await;
    let instance = school.start("first", vec![job], quick(FOR_GOOD));
    school
        .until("SELECT count(*) = 1 FROM job_runs WHERE state = 'failed' AND attempts = 3 AND next_try_at IS NULL")
        .await;
    instance.stop().await;
    assert_eq!(told.load(Ordering::SeqCst), 3);
    let detail = school.scalar::<String>("SELECT detail FROM job_runs").await;
    assert_eq!(detail, "aborted after 500ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_gives_its_jobs_back_at_once() {
    let school = School::open().await;
    let job = Job::new("report", YEARLY, |run: RunContext| async move {
        run.stop().cancelled().await;
        anyhow::bail!("half done")
    })
    .unwrap();
    school.register(vec![job.clone()]).await;
    school
        .execute("UPDATE scheduled_jobs SET next_due_at = next_due_at - interval '1 year'")
        .await;
    let first = school.start("first", vec![job], quick(FOR_GOOD));
    school
        .until("SELECT count(*) = 1 FROM job_runs WHERE state = 'running'")
        .await;
    first.stop().await;
    let left = "SELECT format('%s %s: %s', state, attempts, detail) FROM job_runs";
    assert_eq!(
        school.scalar::<String>(left).await,
        "abandoned 0: the process stopped: half done"
    );
    let second = school.start("second", vec![school.effect("report", YEARLY)], quick(FOR_GOOD));
    school
        .until("SELECT count(*) = 1 FROM job_runs WHERE state = 'succeeded' AND attempts = 1 AND instance = 'second'")
        .await;
    second.stop().await;
}
