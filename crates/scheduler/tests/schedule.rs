//! Several instances, one database: each due time once.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "schedule/school.rs"]
mod school;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use postgres::{Database, WriteError};
use scheduler::{Job, LeaseLost, RunContext, Settings};
use school::{FOR_GOOD, Instance, PATIENCE, School, YEARLY, quick};
use sqlx::{AssertSqlSafe, Executor};
use test_support::eventually;

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

/// In each round five jobs are due, and the instance that does the first of them is killed in the middle of it, with whatever else it
/// has in hand.
#[tokio::test(flavor = "multi_thread")]
async fn fault_three_instances_that_are_killed_again_and_again_run_each_due_time_once() {
    const ROUNDS: usize = 6;
    let school = School::open().await;
    let settings = Settings {
        // However often it is killed, it is not to run out of tries.
        tries: 1_000,
        ..quick(Duration::from_secs(1))
    };
    let names: Vec<&'static str> = (0..ROUNDS * 5)
        .map(|job| &*format!("round {} job {}", job / 5, job % 5).leak())
        .collect();
    let jobs = || names.iter().map(|name| due_once(&school.db, name)).collect();
    school.register(jobs()).await;
    let mut instances: Vec<(String, Instance)> = Vec::new();
    for number in 0..3 {
        let name = format!("instance {number}");
        instances.push((name.clone(), school.start(&name, jobs(), settings)));
    }
    for round in 0..ROUNDS {
        let due = format!(
            "UPDATE scheduled_jobs SET next_due_at = next_due_at - interval '1 year' WHERE name LIKE 'round {round} %'"
        );
        sqlx::raw_sql(AssertSqlSafe(due))
            .execute(school.db.primary())
            .await
            .unwrap();
        let doing = format!(
            "SELECT coalesce(min(instance), '') FROM job_runs WHERE state = 'running' AND job = 'round {round} job 0'"
        );
        let victim = eventually(PATIENCE, || async {
            let doing: String = school.scalar(&doing).await;
            instances.iter().position(|(name, _)| *name == doing)
        })
        .await;
        instances.remove(victim).1.kill().await;
        let name = format!("after round {round}");
        instances.push((name.clone(), school.start(&name, jobs(), settings)));
    }
    school
        .until("SELECT count(*) = 30 FROM job_runs WHERE state = 'succeeded'")
        .await;
    for (_, instance) in instances {
        instance.stop().await;
    }
    let each = "SELECT format('%s %s %s', count(*), count(DISTINCT job), (SELECT count(*) FROM job_runs)) FROM effects";
    assert_eq!(school.scalar::<String>(each).await, "30 30 30");
    let taken_over = "SELECT count(*) FROM job_runs WHERE attempts > 1";
    assert!(school.scalar::<i64>(taken_over).await >= 6);
}

/// The first job of a round hangs until its instance is killed; the others take a while.
fn due_once(db: &Database, name: &'static str) -> Job {
    let db = db.clone();
    Job::new(name, YEARLY, move |run: RunContext| {
        let db = db.clone();
        async move {
            if name.ends_with('0') && run.attempt() == 1 {
                return std::future::pending().await;
            }
            sqlx::query("SELECT pg_sleep(0.1)").execute(db.primary()).await?;
            write_once(&db, &run, name).await
        }
    })
    .unwrap()
}

/// Under the lease, and as one does who may be begun twice for a due time: not what is there already.
async fn write_once(db: &Database, run: &RunContext, job: &'static str) -> anyhow::Result<String> {
    let (run, due) = (run.clone(), run.scheduled_for());
    let written: Result<(), Refused> = db
        .write(move |mut tx| async move {
            run.hold(&mut tx).await.map_err(Refused::Lease)?;
            let statement = "INSERT INTO effects SELECT $1, $2, ''
                             WHERE NOT EXISTS (SELECT FROM effects WHERE job = $1 AND due = $2)";
            let write = sqlx::query(statement).bind(job).bind(due).execute(&mut *tx);
            write.await.map_err(|_| Refused::Write)?;
            Ok(tx.commit(()).await?)
        })
        .await;
    written.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    Ok("wrote a row".to_owned())
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
