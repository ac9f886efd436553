//! The lease and the runs. The schema is the service's; its name is our own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postgres::{Database, WriteError, WriteTx};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use crate::job::Job;
use crate::scheduler::Settings;
use crate::when::InvalidSchedule;

/// A job without catch-up is run when it is no later than this.
const PUNCTUAL: time::Duration = time::Duration::minutes(1);

pub type Jobs = Arc<HashMap<&'static str, Job>>;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the database refused")]
    Write(#[from] WriteError),
    #[error("a due time could not be found")]
    Schedule(#[from] InvalidSchedule),
}

impl From<sqlx::Error> for Fault {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

/// A run that is ours.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub run: i64,
    pub job: &'static str,
    pub scheduled_for: OffsetDateTime,
    pub attempt: i32,
    pub fencing: i64,
}

pub enum Claim {
    Run(Claimed),
    /// Something was put in order; there may be more.
    Tidied,
    /// Nothing is due.
    Nothing,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    next_due_at: OffsetDateTime,
    lease_owner: Option<String>,
    fencing: i64,
    paused: bool,
    now: OffsetDateTime,
}

/// Writes down the jobs. A new one, or one with another schedule, is due from now on; the others go on where they were.
pub async fn register(db: &Database, jobs: &Jobs) -> Result<(), Fault> {
    let now: OffsetDateTime = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(db.primary())
        .await?;
    let (mut names, mut crons, mut zones, mut due) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for job in jobs.values() {
        names.push(job.name);
        crons.push(job.schedule.cron());
        zones.push(job.schedule.zone());
        due.push(job.schedule.next_after(now)?);
    }
    let statement = format!(
        "INSERT INTO {}.scheduled_jobs AS j (name, cron, zone, next_due_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS t (name, cron, zone, due) ORDER BY name
         ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, zone = excluded.zone, next_due_at = excluded.next_due_at
         WHERE (j.cron, j.zone) <> (excluded.cron, excluded.zone)",
        db.schema()
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(names)
        .bind(crons)
        .bind(zones)
        .bind(due)
        .execute(db.primary())
        .await?;
    Ok(())
}

/// Takes one run, if there is one to take.
pub async fn claim(
    db: &Database,
    jobs: &Jobs,
    instance: &Arc<str>,
    settings: Settings,
) -> Result<Claim, Fault> {
    let (jobs, instance) = (Arc::clone(jobs), Arc::clone(instance));
    db.write(move |mut tx| async move {
        let names: Vec<&str> = jobs.keys().copied().collect();
        let Some(row) = lock_one(&mut tx, &names).await? else {
            return Ok(tx.rollback(Claim::Nothing).await?);
        };
        let Some(job) = jobs.get(row.name.as_str()) else {
            return Ok(tx.rollback(Claim::Nothing).await?);
        };
        if let Some(owner) = &row.lease_owner {
            abandon(&mut tx, job, owner, settings.tries).await?;
        }
        let (mut claimed, mut next_due_at) = (None, row.next_due_at);
        if row.next_due_at <= row.now {
            let (due, skipped) = job.schedule.latest(row.next_due_at, row.now)?;
            next_due_at = job.schedule.next_after(row.now)?;
            if !row.paused && (job.catch_up || row.now - due <= PUNCTUAL) {
                claimed = begin(&mut tx, job, due, skipped, &instance).await?;
            }
        } else {
            claimed = begin_again(&mut tx, job, row.paused, &instance).await?;
        }
        let fencing = row.fencing + 1;
        let lease = claimed.is_some().then_some(settings.lease);
        keep_lease(&mut tx, job, next_due_at, fencing, &instance, lease).await?;
        let claim = match claimed {
            Some((run, scheduled_for, attempt)) => Claim::Run(Claimed {
                run,
                job: job.name,
                scheduled_for,
                attempt,
                fencing,
            }),
            None => Claim::Tidied,
        };
        Ok::<_, Fault>(tx.commit(claim).await?)
    })
    .await
}

/// A job that nobody runs and that has something to do; others that look meanwhile see the next one. FOR UPDATE, as weaker locks
/// would pass [`hold`].
async fn lock_one(tx: &mut WriteTx, names: &[&str]) -> Result<Option<Row>, sqlx::Error> {
    let schema = tx.schema();
    let statement = format!(
        "SELECT name, next_due_at, lease_owner, fencing, paused, clock_timestamp() AS now FROM {schema}.scheduled_jobs j
         WHERE name = ANY($1) AND (lease_until IS NULL OR lease_until < clock_timestamp())
           AND (lease_until IS NOT NULL OR next_due_at <= clock_timestamp() OR EXISTS (
               SELECT FROM {schema}.job_runs r
               WHERE r.job = j.name AND r.next_try_at <= clock_timestamp() AND (r.state = 'queued' OR NOT j.paused)))
         ORDER BY next_due_at LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(names)
        .fetch_optional(&mut **tx)
        .await
}

/// The run of an instance that gave no sign of life.
async fn abandon(tx: &mut WriteTx, job: &Job, owner: &str, tries: i32) -> Result<(), sqlx::Error> {
    let statement = format!(
        "UPDATE {}.job_runs SET state = 'abandoned', finished_at = clock_timestamp(), detail = $2,
             next_try_at = CASE WHEN attempts < $3 THEN clock_timestamp() END
         WHERE job = $1 AND state = 'running'",
        tx.schema()
    );
    let abandoned = sqlx::query(AssertSqlSafe(statement))
        .bind(job.name)
        .bind(format!("{owner} gave no sign of life"))
        .bind(tries)
        .execute(&mut **tx)
        .await?;
    metrics::counter!("scheduled_runs_total", "job" => job.name, "state" => "abandoned")
        .increment(abandoned.rows_affected());
    Ok(())
}

type Begun = (i64, OffsetDateTime, i32);

/// The first attempt at a due time. An earlier due time that still waited for another attempt is given up for it.
async fn begin(
    tx: &mut WriteTx,
    job: &Job,
    due: OffsetDateTime,
    skipped: i32,
    instance: &str,
) -> Result<Option<Begun>, sqlx::Error> {
    let schema = tx.schema();
    let insert = format!(
        "INSERT INTO {schema}.job_runs (job, scheduled_for, state, attempts, skipped, started_at, instance)
         VALUES ($1, $2, 'running', 1, $3, clock_timestamp(), $4)
         ON CONFLICT (job, scheduled_for) DO NOTHING RETURNING id, scheduled_for, attempts"
    );
    let begun: Option<Begun> = sqlx::query_as(AssertSqlSafe(insert))
        .bind(job.name)
        .bind(due)
        .bind(skipped)
        .bind(instance)
        .fetch_optional(&mut **tx)
        .await?;
    let give_up = format!(
        "UPDATE {schema}.job_runs SET next_try_at = NULL
         WHERE job = $1 AND next_try_at IS NOT NULL AND state IN ('failed', 'abandoned')"
    );
    sqlx::query(AssertSqlSafe(give_up))
        .bind(job.name)
        .execute(&mut **tx)
        .await?;
    Ok(begun)
}

/// Another attempt, or a run that somebody asked for.
async fn begin_again(
    tx: &mut WriteTx,
    job: &Job,
    paused: bool,
    instance: &str,
) -> Result<Option<Begun>, sqlx::Error> {
    let schema = tx.schema();
    let statement = format!(
        "UPDATE {schema}.job_runs SET state = 'running', attempts = attempts + 1, started_at = clock_timestamp(),
             finished_at = NULL, next_try_at = NULL, detail = '', instance = $2
         WHERE id = (SELECT id FROM {schema}.job_runs
                     WHERE job = $1 AND next_try_at <= clock_timestamp() AND (state = 'queued' OR NOT $3)
                     ORDER BY next_try_at LIMIT 1)
         RETURNING id, scheduled_for, attempts"
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(job.name)
        .bind(instance)
        .bind(paused)
        .fetch_optional(&mut **tx)
        .await
}

async fn keep_lease(
    tx: &mut WriteTx,
    job: &Job,
    next_due_at: OffsetDateTime,
    fencing: i64,
    instance: &str,
    lease: Option<Duration>,
) -> Result<(), sqlx::Error> {
    let statement = format!(
        "UPDATE {}.scheduled_jobs SET next_due_at = $2, fencing = $3,
             lease_owner = CASE WHEN $5::float8 IS NOT NULL THEN $4 END,
             lease_until = clock_timestamp() + make_interval(secs => $5)
         WHERE name = $1",
        tx.schema()
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(job.name)
        .bind(next_due_at)
        .bind(fencing)
        .bind(instance)
        .bind(lease.map(|lease| lease.as_secs_f64()))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A sign of life; false when the job is another's by now.
pub async fn renew(db: &Database, claimed: &Claimed, lease: Duration) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "UPDATE {}.scheduled_jobs SET lease_until = clock_timestamp() + make_interval(secs => $3)
         WHERE name = $1 AND fencing = $2 AND lease_until IS NOT NULL",
        db.schema()
    );
    let renewed = sqlx::query(AssertSqlSafe(statement))
        .bind(claimed.job)
        .bind(claimed.fencing)
        .bind(lease.as_secs_f64())
        .execute(db.primary())
        .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Whether the lease holds; nobody can take it before the transaction ends. A renewal still passes this lock.
pub async fn hold(tx: &mut WriteTx, db: &Database, job: &str, fencing: i64) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "SELECT true FROM {}.scheduled_jobs
         WHERE name = $1 AND fencing = $2 AND lease_until > clock_timestamp() FOR KEY SHARE",
        db.schema()
    );
    let held: Option<bool> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(job)
        .bind(fencing)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(held.is_some())
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub state: &'static str,
    pub detail: String,
    /// When to try again.
    pub again_after: Option<Duration>,
    /// An attempt that the process itself cut short does not count.
    pub counts: bool,
}

/// Writes down how it ended and gives the job back, unless it is another's by now.
pub async fn finish(db: &Database, claimed: &Claimed, ended: &Ended) -> Result<(), sqlx::Error> {
    let schema = db.schema();
    let statement = format!(
        "WITH given_back AS (
             UPDATE {schema}.scheduled_jobs SET lease_owner = NULL, lease_until = NULL
             WHERE name = $1 AND fencing = $2 RETURNING name)
         UPDATE {schema}.job_runs SET state = $4, detail = $5, finished_at = clock_timestamp(),
             next_try_at = clock_timestamp() + make_interval(secs => $6), attempts = attempts - $7
         WHERE id = $3 AND state = 'running' AND EXISTS (SELECT FROM given_back)"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(claimed.job)
        .bind(claimed.fencing)
        .bind(claimed.run)
        .bind(ended.state)
        .bind(&ended.detail)
        .bind(ended.again_after.map(|pause| pause.as_secs_f64()))
        .bind(i32::from(!ended.counts))
        .execute(db.primary())
        .await?;
    Ok(())
}

/// Each job with its next due time, and in how many seconds it could be begun.
pub async fn outlook(db: &Database, jobs: &Jobs) -> Result<Vec<(String, OffsetDateTime, f64)>, sqlx::Error> {
    let statement = format!(
        "SELECT name, next_due_at, extract(epoch FROM greatest(next_due_at, lease_until) - clock_timestamp())::float8
         FROM {}.scheduled_jobs WHERE name = ANY($1)",
        db.schema()
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(jobs.keys().copied().collect::<Vec<_>>())
        .fetch_all(db.primary())
        .await
}
