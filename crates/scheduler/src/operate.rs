//! What an operator asks of the jobs of all services, from outside.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

/// A job of a service.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct JobState {
    pub service: String,
    pub name: String,
    pub cron: String,
    pub zone: String,
    pub next_due_at: String,
    pub paused: bool,
    /// The instance that runs it at the moment.
    pub running_on: Option<String>,
    pub last_state: Option<String>,
    pub last_finished_at: Option<String>,
    pub last_detail: Option<String>,
}

/// A run of a job.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct RunState {
    pub service: String,
    pub job: String,
    pub scheduled_for: String,
    pub state: String,
    pub attempts: i32,
    pub skipped: i32,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub next_try_at: Option<String>,
    pub instance: String,
    pub detail: String,
}

/// Schemas with jobs that this connection may read.
pub async fn services(db: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relname = 'scheduled_jobs' AND c.relkind = 'r'
           AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
         ORDER BY 1",
    )
    .fetch_all(db)
    .await
}

/// All jobs of these services.
pub async fn jobs(db: &mut PgConnection, services: &[String]) -> Result<Vec<JobState>, sqlx::Error> {
    let statement = of_each(services, |schema| {
        format!(
            "SELECT '{schema}' AS service, j.name, j.cron, j.zone, {next_due} AS next_due_at, j.paused,
                 CASE WHEN j.lease_until > clock_timestamp() THEN j.lease_owner END AS running_on,
                 r.state AS last_state, {finished} AS last_finished_at, r.detail AS last_detail
             FROM {schema}.scheduled_jobs j
             LEFT JOIN LATERAL (SELECT * FROM {schema}.job_runs r WHERE r.job = j.name
                                ORDER BY scheduled_for DESC LIMIT 1) r ON true",
            next_due = text("j.next_due_at"),
            finished = text("r.finished_at"),
        )
    });
    sqlx::query_as(AssertSqlSafe(format!("{statement} ORDER BY service, name")))
        .fetch_all(db)
        .await
}

/// The latest runs, of one job or of all.
pub async fn history(
    db: &mut PgConnection,
    services: &[String],
    job: Option<&str>,
    limit: i64,
) -> Result<Vec<RunState>, sqlx::Error> {
    let statement = of_each(services, |schema| {
        format!(
            "(SELECT '{schema}' AS service, job, {due} AS scheduled_for, state, attempts, skipped, {started} AS started_at,
                 {finished} AS finished_at, {next_try} AS next_try_at, instance, detail
             FROM {schema}.job_runs WHERE $1::text IS NULL OR job = $1 ORDER BY job_runs.scheduled_for DESC LIMIT $2)",
            due = text("scheduled_for"),
            started = text("started_at"),
            finished = text("finished_at"),
            next_try = text("next_try_at"),
        )
    });
    sqlx::query_as(AssertSqlSafe(format!(
        "{statement} ORDER BY scheduled_for DESC LIMIT $2"
    )))
    .bind(job)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Has a job run once more, beside its schedule, also while it is paused; false when there is no such job.
pub async fn ask_for_run(db: &mut PgConnection, service: &str, job: &str) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "INSERT INTO {service}.job_runs (job, scheduled_for, state, next_try_at)
         SELECT name, clock_timestamp(), 'queued', clock_timestamp() FROM {service}.scheduled_jobs WHERE name = $1"
    );
    let asked = sqlx::query(AssertSqlSafe(statement))
        .bind(job)
        .execute(db)
        .await?;
    Ok(asked.rows_affected() == 1)
}

/// Lets due times go by unused, or no longer; false when there is no such job. What is under way goes on.
pub async fn set_paused(
    db: &mut PgConnection,
    service: &str,
    job: &str,
    paused: bool,
) -> Result<bool, sqlx::Error> {
    let statement = format!("UPDATE {service}.scheduled_jobs SET paused = $2 WHERE name = $1");
    let set = sqlx::query(AssertSqlSafe(statement))
        .bind(job)
        .bind(paused)
        .execute(db)
        .await?;
    Ok(set.rows_affected() == 1)
}

/// One statement over several schemas; their names come from the database's catalogue.
fn of_each(services: &[String], select: impl Fn(&str) -> String) -> String {
    let all: Vec<String> = services.iter().map(|schema| select(schema)).collect();
    format!("SELECT * FROM ({}) AS every", all.join(" UNION ALL "))
}

/// A moment as people and programs read it.
fn text(column: &str) -> String {
    format!(r#"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#)
}
