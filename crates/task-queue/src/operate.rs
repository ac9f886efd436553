//! What an operator asks of the tasks of all services, from outside.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};
use typed_id::TaskId;

/// A lane of a service.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct LaneState {
    pub service: String,
    pub lane: String,
    /// Enqueued, and not begun.
    pub queued: i64,
    /// For another try, for the rate of their kind, or because it is too early.
    pub waiting: i64,
    pub running: i64,
    pub succeeded_last_hour: i64,
    pub dead_last_day: i64,
    pub oldest_queued_seconds: i64,
}

/// A task.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct TaskState {
    pub id: String,
    pub service: String,
    pub kind: String,
    pub lane: String,
    pub state: String,
    pub attempts: i32,
    pub enqueued_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub due_at: Option<String>,
    pub instance: String,
    pub detail: String,
    pub traceparent: Option<String>,
    pub request_id: Option<String>,
}

/// Which tasks.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Dead, or waiting for another try; the latest first.
    Failed,
    Running,
    One(TaskId),
}

/// Schemas with tasks that this connection may read.
pub async fn services(db: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relname = 'tasks' AND c.relkind = 'r'
           AND EXISTS (SELECT FROM pg_class r WHERE r.relnamespace = n.oid AND r.relname = 'task_rates')
           AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
         ORDER BY 1",
    )
    .fetch_all(db)
    .await
}

/// The lanes of these services, as the record knows them.
pub async fn lanes(db: &mut PgConnection, services: &[String]) -> Result<Vec<LaneState>, sqlx::Error> {
    let statement = of_each(services, |schema| {
        format!(
            "SELECT '{schema}' AS service, l.lane, l.place,
                 count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'waiting') AS waiting,
                 count(*) FILTER (WHERE state = 'running') AS running,
                 count(*) FILTER (WHERE state = 'succeeded') AS succeeded_last_hour,
                 count(*) FILTER (WHERE state = 'dead') AS dead_last_day,
                 coalesce(extract(epoch FROM clock_timestamp() - min(enqueued_at) FILTER (WHERE state = 'queued')), 0)::bigint
                     AS oldest_queued_seconds
             FROM (VALUES ('high', 1), ('default', 2), ('low', 3)) AS l (lane, place)
             LEFT JOIN {schema}.tasks t ON t.lane = l.lane
                  AND (t.state IN ('queued', 'waiting', 'running')
                       OR (t.state = 'succeeded' AND t.finished_at > clock_timestamp() - interval '1 hour')
                       OR (t.state = 'dead' AND t.finished_at > clock_timestamp() - interval '1 day'))
             GROUP BY l.lane, l.place"
        )
    });
    sqlx::query_as(AssertSqlSafe(format!("{statement} ORDER BY service, place")))
        .fetch_all(db)
        .await
}

/// Tasks of these services, at most `limit`.
pub async fn tasks(
    db: &mut PgConnection,
    services: &[String],
    which: Which,
    limit: i64,
) -> Result<Vec<TaskState>, sqlx::Error> {
    let (condition, id) = match which {
        Which::Failed => ("(state = 'dead' OR (state = 'waiting' AND attempts > 0))", None),
        Which::Running => ("state = 'running'", None),
        Which::One(id) => ("id = $1", Some(id)),
    };
    let statement = of_each(services, |schema| {
        format!(
            "(SELECT id::text, '{schema}' AS service, kind, lane, state, attempts, {enqueued} AS enqueued_at,
                 {started} AS started_at, {finished} AS finished_at, {due} AS due_at, instance, detail, traceparent, request_id
             FROM {schema}.tasks WHERE {condition} AND ($1::uuid IS NULL OR id = $1)
             ORDER BY tasks.started_at DESC NULLS LAST LIMIT $2)",
            enqueued = text("enqueued_at"),
            started = text("started_at"),
            finished = text("finished_at"),
            due = text("due_at"),
        )
    });
    sqlx::query_as(AssertSqlSafe(format!(
        "{statement} ORDER BY started_at DESC NULLS LAST LIMIT $2"
    )))
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
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
