//! The record of tasks. The schema is the service's; its name is our own, and all time is the database's.

use std::time::Duration;

use postgres::{Database, WriteTx};
use sqlx::AssertSqlSafe;
use typed_id::TaskId;

use crate::task::Policy;

/// What is to be done about a message.
#[derive(Debug, PartialEq)]
pub enum Claim {
    Run {
        attempt: i32,
        fencing: i64,
    },
    /// It waits, or another does it at the moment.
    NotYet(Duration),
    /// It is done.
    Duplicate,
    /// It has had all its tries; `is_new` when that was found out now.
    Dead {
        attempts: i32,
        reason: String,
        is_new: bool,
    },
    /// No transaction wanted it.
    Unknown,
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    attempts: i32,
    detail: String,
    due_in: Option<f64>,
    lease_in: Option<f64>,
}

/// Takes a task, unless it is done, not due, or another's.
pub async fn claim(
    db: &Database,
    id: TaskId,
    policy: &Policy,
    lease: Duration,
    instance: &str,
) -> Result<Claim, sqlx::Error> {
    if let Some(interval) = policy.interval
        && let Some(wait) = hold_back(db, id, interval).await?
    {
        return Ok(Claim::NotYet(wait));
    }
    loop {
        if let Some((attempt, fencing)) = begin(db, id, policy, lease, instance).await? {
            return Ok(Claim::Run { attempt, fencing });
        }
        let Some(row) = look(db, id).await? else {
            return Ok(Claim::Unknown);
        };
        let wait = match row.state.as_str() {
            "succeeded" => return Ok(Claim::Duplicate),
            "dead" => {
                return Ok(Claim::Dead {
                    attempts: row.attempts,
                    reason: row.detail,
                    is_new: false,
                });
            }
            "waiting" => row.due_in,
            "running" => row.lease_in,
            _ => None,
        };
        if let Some(seconds) = wait.filter(|seconds| *seconds > 0.0) {
            return Ok(Claim::NotYet(Duration::from_secs_f64(seconds)));
        }
        if row.attempts >= policy.tries
            && let Some((attempts, reason)) = give_up(db, id, policy.tries).await?
        {
            return Ok(Claim::Dead {
                attempts,
                reason,
                is_new: true,
            });
        }
        // It changed between two statements.
    }
}

async fn begin(
    db: &Database,
    id: TaskId,
    policy: &Policy,
    lease: Duration,
    instance: &str,
) -> Result<Option<(i32, i64)>, sqlx::Error> {
    let statement = format!(
        "UPDATE {}.tasks SET state = 'running', attempts = attempts + 1, fencing = fencing + 1,
             started_at = clock_timestamp(), due_at = NULL, instance = $3,
             lease_until = clock_timestamp() + make_interval(secs => $2)
         WHERE id = $1 AND attempts < $4
           AND (state = 'queued' OR (state = 'waiting' AND due_at <= clock_timestamp())
                OR (state = 'running' AND lease_until <= clock_timestamp()))
         RETURNING attempts, fencing",
        db.schema()
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(id)
        .bind(lease.as_secs_f64())
        .bind(instance)
        .bind(policy.tries)
        .fetch_optional(db.primary())
        .await
}

async fn look(db: &Database, id: TaskId) -> Result<Option<Row>, sqlx::Error> {
    let statement = format!(
        "SELECT state, attempts, detail, extract(epoch FROM due_at - clock_timestamp())::float8 AS due_in,
             extract(epoch FROM lease_until - clock_timestamp())::float8 AS lease_in
         FROM {}.tasks WHERE id = $1",
        db.schema()
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(id)
        .fetch_optional(db.primary())
        .await
}

/// Ends a task whose last try has not come back.
async fn give_up(db: &Database, id: TaskId, tries: i32) -> Result<Option<(i32, String)>, sqlx::Error> {
    let statement = format!(
        "UPDATE {}.tasks SET state = 'dead', finished_at = clock_timestamp(), lease_until = NULL, due_at = NULL,
             detail = CASE WHEN state = 'running' THEN 'the process that did it died' ELSE detail END
         WHERE id = $1 AND attempts >= $2
           AND (state IN ('queued', 'waiting') OR (state = 'running' AND lease_until <= clock_timestamp()))
         RETURNING attempts, detail",
        db.schema()
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(id)
        .bind(tries)
        .fetch_optional(db.primary())
        .await
}

/// Gives a new task of a kind with a rate limit its place in time; `Some` when that is later than now.
async fn hold_back(db: &Database, id: TaskId, interval: Duration) -> Result<Option<Duration>, sqlx::Error> {
    let statement = format!(
        "WITH slot AS (
             INSERT INTO {schema}.task_rates AS r (kind, next_at)
             SELECT kind, clock_timestamp() + make_interval(secs => $2) FROM {schema}.tasks WHERE id = $1 AND state = 'queued'
             ON CONFLICT (kind) DO UPDATE SET next_at = greatest(r.next_at, clock_timestamp()) + make_interval(secs => $2)
             RETURNING next_at - make_interval(secs => $2) AS at)
         UPDATE {schema}.tasks t SET state = 'waiting', due_at = slot.at FROM slot
         WHERE t.id = $1 AND t.state = 'queued' AND slot.at > clock_timestamp()
         RETURNING extract(epoch FROM slot.at - clock_timestamp())::float8",
        schema = db.schema()
    );
    let wait: Option<f64> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(id)
        .bind(interval.as_secs_f64())
        .fetch_optional(db.primary())
        .await?;
    Ok(wait.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// A sign of life; false when the task is another's by now.
pub async fn renew(db: &Database, id: TaskId, fencing: i64, lease: Duration) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "UPDATE {}.tasks SET lease_until = clock_timestamp() + make_interval(secs => $3)
         WHERE id = $1 AND fencing = $2 AND state = 'running'",
        db.schema()
    );
    let renewed = sqlx::query(AssertSqlSafe(statement))
        .bind(id)
        .bind(fencing)
        .bind(lease.as_secs_f64())
        .execute(db.primary())
        .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Marks a task as done in the transaction of its effect; false when it is another's by now.
pub async fn succeed(tx: &mut WriteTx, id: TaskId, fencing: i64, did: &str) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "UPDATE {}.tasks SET state = 'succeeded', finished_at = clock_timestamp(), lease_until = NULL, detail = $3
         WHERE id = $1 AND fencing = $2 AND state = 'running'",
        tx.schema()
    );
    let done = sqlx::query(AssertSqlSafe(statement))
        .bind(id)
        .bind(fencing)
        .bind(did)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What becomes of a task that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another try after this long; where the kind has a rate, it takes its place in time.
    Wait {
        pause: Duration,
        counts: bool,
        interval: Option<Duration>,
    },
    /// To another worker at once, as if nothing had been.
    Queue,
    Dead,
}

/// Writes down how a run ended. Gives how long the task waits; `None` when it was no longer this run's.
pub async fn settle(
    db: &Database,
    id: TaskId,
    fencing: i64,
    next: Next,
    detail: &str,
) -> Result<Option<Duration>, sqlx::Error> {
    let (state, pause, counts, interval) = match next {
        Next::Wait {
            pause,
            counts,
            interval,
        } => ("waiting", Some(pause), counts, interval),
        Next::Queue => ("queued", None, false, None),
        Next::Dead => ("dead", None, true, None),
    };
    let statement = format!(
        "WITH slot AS (
             INSERT INTO {schema}.task_rates AS r (kind, next_at)
             SELECT kind, clock_timestamp() + make_interval(secs => $7) FROM {schema}.tasks WHERE id = $1 AND $7::float8 IS NOT NULL
             ON CONFLICT (kind) DO UPDATE SET next_at = greatest(r.next_at, clock_timestamp()) + make_interval(secs => $7)
             RETURNING next_at - make_interval(secs => $7) AS at)
         UPDATE {schema}.tasks SET state = $3, detail = $4, attempts = attempts - $5, lease_until = NULL,
             due_at = greatest(clock_timestamp() + make_interval(secs => $6), (SELECT at FROM slot)),
             finished_at = CASE WHEN $3 = 'dead' THEN clock_timestamp() END
         WHERE id = $1 AND fencing = $2 AND state = 'running'
         RETURNING coalesce(extract(epoch FROM due_at - clock_timestamp()), 0)::float8",
        schema = db.schema()
    );
    let wait: Option<f64> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(id)
        .bind(fencing)
        .bind(state)
        .bind(detail)
        .bind(i32::from(!counts))
        .bind(pause.map(|pause| pause.as_secs_f64()))
        .bind(interval.map(|interval| interval.as_secs_f64()))
        .fetch_optional(db.primary())
        .await?;
    Ok(wait.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// How many tasks of each lane are in which state that is not the last.
pub async fn depth(db: &Database) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
    let statement = format!(
        "SELECT lane, state, count(*) FROM {}.tasks WHERE state IN ('queued', 'running', 'waiting') GROUP BY lane, state",
        db.schema()
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .fetch_all(db.primary())
        .await
}

/// Forgets tasks that were done more than a week ago, when no broker delivers them again, and dead ones after 90 days; gives their
/// number.
pub async fn purge(db: &Database) -> Result<u64, sqlx::Error> {
    let statement = format!(
        "DELETE FROM {}.tasks
         WHERE (state = 'succeeded' AND finished_at < clock_timestamp() - interval '7 days')
            OR (state = 'dead' AND finished_at < clock_timestamp() - interval '90 days')",
        db.schema()
    );
    let removed = sqlx::query(AssertSqlSafe(statement))
        .execute(db.primary())
        .await?;
    Ok(removed.rows_affected())
}
