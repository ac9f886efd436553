use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use postgres::{Database, WriteTx};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::storage;
use crate::when::{InvalidSchedule, Schedule};

const ZONE: &str = "Europe/Istanbul";
const SOFT_LIMIT: Duration = Duration::from_mins(25);
const HARD_LIMIT: Duration = Duration::from_mins(30);

pub(crate) type Work = Arc<dyn Fn(RunContext) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// Work that is due by the calendar.
#[derive(Clone)]
pub struct Job {
    pub(crate) name: &'static str,
    pub(crate) schedule: Schedule,
    pub(crate) catch_up: bool,
    pub(crate) soft_limit: Duration,
    pub(crate) hard_limit: Duration,
    pub(crate) work: Work,
}

impl Job {
    /// A job that is due by `cron` in Istanbul. `work` says what it did, in a few words for the history.
    pub fn new<F, Fut>(name: &'static str, cron: &str, work: F) -> Result<Self, InvalidSchedule>
    where
        F: Fn(RunContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<String>> + Send + 'static,
    {
        Ok(Self {
            name,
            schedule: Schedule::parse(cron, ZONE)?,
            catch_up: true,
            soft_limit: SOFT_LIMIT,
            hard_limit: HARD_LIMIT,
            work: Arc::new(move |run| Box::pin(work(run))),
        })
    }

    /// What was missed while no instance ran is not made up for.
    #[must_use]
    pub fn without_catch_up(mut self) -> Self {
        self.catch_up = false;
        self
    }

    /// After `soft` the job is told to stop, after `hard` it is aborted; 25 and 30 minutes unless set.
    #[must_use]
    pub fn limits(mut self, soft: Duration, hard: Duration) -> Self {
        (self.soft_limit, self.hard_limit) = (soft, hard);
        self
    }
}

/// What a job knows of the run that it does.
#[derive(Debug, Clone)]
pub struct RunContext {
    pub(crate) db: Database,
    pub(crate) job: &'static str,
    pub(crate) scheduled_for: OffsetDateTime,
    pub(crate) attempt: i32,
    pub(crate) fencing: i64,
    pub(crate) stop: CancellationToken,
}

/// Another instance may run the job by now.
#[derive(Debug, thiserror::Error)]
pub enum LeaseLost {
    #[error("the lease is lost")]
    Lost,
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

impl RunContext {
    /// The due time that this run is for. A run that makes up for a missed one has a time of the past.
    pub fn scheduled_for(&self) -> OffsetDateTime {
        self.scheduled_for
    }

    /// 1 for the first attempt at this due time.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// Whether to come to an end: the soft limit is over, the process stops, or the lease is lost. Work that ends well then
    /// counts as done; work that fails because of it is tried again.
    pub fn should_stop(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Cancelled when [`RunContext::should_stop`] turns true.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Keeps the lease until the transaction ends, or fails when it is lost: effects of a run that was taken over stay out.
    pub async fn hold(&self, tx: &mut WriteTx) -> Result<(), LeaseLost> {
        if storage::hold(tx, &self.db, self.job, self.fencing).await? {
            Ok(())
        } else {
            Err(LeaseLost::Lost)
        }
    }
}
