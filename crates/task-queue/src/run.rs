use futures::future::BoxFuture;
use postgres::{Database, WriteTx};
use tokio_util::sync::CancellationToken;
use typed_id::TaskId;

use crate::error::TaskError;
use crate::storage;

/// A task is done, and its record says so. Only [`TaskRun::finish`] and [`TaskRun::done`] make one.
#[derive(Debug)]
pub struct Done(());

/// What a task knows of the run that does it.
#[derive(Debug, Clone)]
pub struct TaskRun {
    pub(crate) db: Database,
    pub(crate) id: TaskId,
    pub(crate) attempt: i32,
    pub(crate) fencing: i64,
    pub(crate) stop: CancellationToken,
}

impl TaskRun {
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// 1 for the first try.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// Whether to come to an end: the soft limit is over, the process stops, or the task is another's by now.
    pub fn should_stop(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Cancelled when [`TaskRun::should_stop`] turns true.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Writes the effect and that the task is done, in one transaction: once, also when two workers have come to do the same task.
    /// `effect` says what it did, in a few words.
    pub async fn finish<F>(&self, effect: F) -> Result<Done, TaskError>
    where
        F: for<'a> FnOnce(&'a mut WriteTx) -> BoxFuture<'a, Result<String, TaskError>> + Send + 'static,
    {
        let (id, fencing) = (self.id, self.fencing);
        self.db
            .write(move |mut tx| async move {
                let did = effect(&mut tx).await?;
                if !storage::succeed(&mut tx, id, fencing, &did).await? {
                    return Err(TaskError::TakenOver);
                }
                Ok(tx.commit(Done(())).await?)
            })
            .await
    }

    /// For a task without an effect in the database.
    pub async fn done(&self, did: impl Into<String>) -> Result<Done, TaskError> {
        let did = did.into();
        self.finish(|_| Box::pin(async move { Ok(did) })).await
    }
}
