//! Enqueuing: the record and the message to be, in the transaction that wants the task.

use event_bus::{Queue, outbox, task_queue};
use postgres::WriteTx;
use sqlx::AssertSqlSafe;
use typed_id::TaskId;
use uuid::Uuid;

use crate::task::Task;

/// Has the task done after the commit, and never without it.
pub async fn enqueue<T: Task>(tx: &mut WriteTx, task: &T) -> Result<TaskId, sqlx::Error> {
    let id = TaskId::new(tx.clock().now());
    enqueue_once(tx, id, task).await?;
    Ok(id)
}

/// As [`enqueue`], unless there is a task with this id: an id made of what is to be done (UUIDv5) makes it done once, whoever asks.
/// Tells whether it is new.
pub async fn enqueue_once<T: Task>(tx: &mut WriteTx, id: TaskId, task: &T) -> Result<bool, sqlx::Error> {
    let tasks = vec![(id.0, encode(task)?)];
    Ok(insert::<T>(tx, tasks).await? == 1)
}

/// Many of one kind in two statements.
pub async fn enqueue_all<T: Task>(tx: &mut WriteTx, tasks: &[T]) -> Result<(), sqlx::Error> {
    let now = tx.clock().now();
    let tasks: Result<Vec<(Uuid, Vec<u8>)>, sqlx::Error> = tasks
        .iter()
        .map(|task| Ok((TaskId::new(now).0, encode(task)?)))
        .collect();
    insert::<T>(tx, tasks?).await?;
    Ok(())
}

/// Gives how many are new.
async fn insert<T: Task>(tx: &mut WriteTx, mut tasks: Vec<(Uuid, Vec<u8>)>) -> Result<usize, sqlx::Error> {
    let queue = queue_of::<T>(tx)?;
    let ids: Vec<Uuid> = tasks.iter().map(|(id, _)| *id).collect();
    let statement = format!(
        "INSERT INTO {}.tasks (id, kind, lane, traceparent, request_id)
         SELECT id, $2, $3, $4, $5 FROM unnest($1::uuid[]) AS new (id)
         ON CONFLICT (id) DO NOTHING RETURNING id",
        tx.schema()
    );
    let new: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(ids)
        .bind(T::NAME)
        .bind(T::LANE.as_str())
        .bind(request_context::traceparent())
        .bind(request_context::current().request_id.as_deref())
        .fetch_all(&mut **tx)
        .await?;
    if new.len() < tasks.len() {
        tasks.retain(|(id, _)| new.contains(id));
    }
    if !tasks.is_empty() {
        outbox::append_tasks(tx, &queue, T::NAME, &tasks).await?;
    }
    Ok(new.len())
}

fn encode<T: Task>(task: &T) -> Result<Vec<u8>, sqlx::Error> {
    serde_json::to_vec(task).map_err(|fault| sqlx::Error::Encode(Box::new(fault)))
}

fn queue_of<T: Task>(tx: &WriteTx) -> Result<Queue, sqlx::Error> {
    task_queue(tx.schema(), T::LANE).ok_or_else(|| {
        let what = format!(
            "{} is not in TASK_OWNERS, and cannot enqueue {}",
            tx.schema(),
            T::NAME
        );
        sqlx::Error::Encode(what.into())
    })
}
