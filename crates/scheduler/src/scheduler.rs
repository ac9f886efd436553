use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use postgres::Database;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::job::Job;
use crate::run::Run;
use crate::storage::{self, Claim, Fault, Jobs};

/// How the scheduler keeps time.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// An instance without a sign of life for this long has lost its jobs. It gives one three times as often.
    pub lease: Duration,
    /// Between two looks, at most.
    pub poll: Duration,
    /// Attempts at one due time.
    pub tries: i32,
    /// Before the second attempt; four times as long before the third.
    pub retry_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            poll: Duration::from_secs(5),
            tries: 3,
            retry_pause: Duration::from_mins(1),
        }
    }
}

/// Shortest pause between two looks.
const SHORTEST: Duration = Duration::from_millis(20);

/// Runs the jobs of a service that are due, beside the other instances of it.
pub struct Scheduler {
    db: Database,
    jobs: Jobs,
    instance: Arc<str>,
    settings: Settings,
}

impl Scheduler {
    /// `instance` is this process's name in the history; no other has it.
    pub fn new(db: Database, jobs: Vec<Job>, instance: &str, settings: Settings) -> anyhow::Result<Self> {
        let mut named = HashMap::new();
        for job in jobs {
            let name = job.name;
            ensure!(named.insert(name, job).is_none(), "two jobs are named {name}");
        }
        Ok(Self {
            db,
            jobs: Arc::new(named),
            instance: instance.into(),
            settings,
        })
    }

    /// Runs until `shutdown`. Jobs that are under way are told to stop, and what they leave unfinished is given to others.
    pub async fn run(self, shutdown: CancellationToken) {
        let (mut runs, mut registered) = (JoinSet::new(), false);
        while !shutdown.is_cancelled() {
            let pause = match self.round(&mut registered, &mut runs, &shutdown).await {
                Ok(pause) => pause,
                Err(fault) => {
                    tracing::warn!(error = &fault as &dyn std::error::Error, "no job can be begun");
                    self.settings.poll
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                // One that ended may have left something to do at once.
                Some(_) = runs.join_next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        while runs.join_next().await.is_some() {}
    }

    /// Begins all that is due and says when to look again.
    async fn round(
        &self,
        registered: &mut bool,
        runs: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<Duration, Fault> {
        if !*registered {
            storage::register(&self.db, &self.jobs).await?;
            *registered = true;
        }
        while !shutdown.is_cancelled() {
            let asked_at = Instant::now();
            match storage::claim(&self.db, &self.jobs, &self.instance, self.settings).await? {
                Claim::Nothing => break,
                Claim::Tidied => {}
                Claim::Run(claimed) => {
                    let Some(job) = self.jobs.get(claimed.job).cloned() else {
                        continue;
                    };
                    let run = Run {
                        db: self.db.clone(),
                        job,
                        claimed,
                        asked_at,
                        settings: self.settings,
                        shutdown: shutdown.clone(),
                    };
                    runs.spawn(run.execute());
                }
            }
        }
        let mut pause = self.settings.poll;
        for (job, due, seconds) in storage::outlook(&self.db, &self.jobs).await? {
            metrics::gauge!("scheduled_job_next_due", "job" => job).set(due.unix_timestamp() as f64);
            pause = pause.min(Duration::from_secs_f64(seconds.max(0.0)));
        }
        Ok(pause.max(SHORTEST))
    }
}
