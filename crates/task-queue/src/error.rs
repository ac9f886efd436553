use std::error::Error;
use std::time::Duration;

use event_bus::HandlerError;
use postgres::WriteError;
use problem::Problem;

/// Why a task was not done.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Trying again may help: a try that counts.
    #[error("{0}")]
    Transient(#[source] Box<dyn Error + Send + Sync>),
    /// Trying again cannot help: a dead letter at once.
    #[error("{0}")]
    Poison(#[source] Box<dyn Error + Send + Sync>),
    /// Nobody's fault, but not before this long; it does not count as a try.
    #[error("not now: {why}")]
    NotNow { after: Duration, why: String },
    /// Another worker has the task by now, or somebody ended it: what was to be written is not.
    #[error("the task is another worker's by now")]
    TakenOver,
}

impl TaskError {
    pub fn transient(fault: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Transient(fault.into())
    }

    pub fn poison(fault: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Poison(fault.into())
    }
}

impl From<sqlx::Error> for TaskError {
    fn from(fault: sqlx::Error) -> Self {
        // The same values are poison here and in an event.
        match HandlerError::from(fault) {
            HandlerError::Transient(fault) => Self::Transient(fault),
            HandlerError::Poison(fault) => Self::Poison(fault),
        }
    }
}

impl From<WriteError> for TaskError {
    fn from(fault: WriteError) -> Self {
        match fault {
            WriteError::Database(fault) => fault.into(),
            fault @ WriteError::Interrupted(_) => Self::Transient(Box::new(fault)),
        }
    }
}

impl From<Problem> for TaskError {
    fn from(problem: Problem) -> Self {
        Self::Transient(Box::new(problem))
    }
}
