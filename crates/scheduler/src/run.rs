//! One run: the job in a task of its own, watched by whoever holds its lease.

use std::sync::Arc;
use std::time::Duration;

use postgres::Database;
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::job::{Job, RunContext};
use crate::scheduler::Settings;
use crate::storage::{self, Claimed, Ended};

/// What a job that was told to stop with the process still gets.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// An aborted task is gone by then, unless it blocks its thread.
const ABORTED: Duration = Duration::from_secs(1);

pub struct Run {
    pub db: Database,
    pub job: Job,
    pub claimed: Claimed,
    /// When the lease was asked for: it ends that much later at the earliest.
    pub asked_at: Instant,
    pub settings: Settings,
    pub shutdown: CancellationToken,
}

/// Why the watch ended before the job.
enum Cut {
    LeaseLost,
    HardLimit,
    Stopped,
}

type Joined = Result<anyhow::Result<String>, JoinError>;

impl Run {
    pub async fn execute(self) {
        let (job, stop, started) = (self.job.name, CancellationToken::new(), Instant::now());
        let context = RunContext {
            db: self.db.clone(),
            job,
            scheduled_for: self.claimed.scheduled_for,
            attempt: self.claimed.attempt,
            fencing: self.claimed.fencing,
            stop: stop.clone(),
        };
        let span = tracing::info_span!("job", job, scheduled_for = %self.claimed.scheduled_for, attempt = self.claimed.attempt);
        let work = (Arc::clone(&self.job.work))(context).instrument(span.clone());
        // Dropping it, as when the scheduler itself is aborted, ends the work too.
        let mut work = AbortOnDropHandle::new(tokio::spawn(work));
        let valid_until = self.asked_at + self.settings.lease;
        let ended = tokio::select! {
            joined = &mut work => Some(self.judge(joined)),
            cut = self.watch(&stop, valid_until) => {
                work.abort();
                let _ = tokio::time::timeout(ABORTED, &mut work).await;
                self.cut_short(&cut)
            }
        };
        metrics::histogram!("scheduled_run_seconds", "job" => job).record(started.elapsed());
        let Some(ended) = ended else {
            // Whoever took it over writes it down.
            span.in_scope(|| tracing::error!("the lease of a job was lost, and the job cancelled"));
            return;
        };
        metrics::counter!("scheduled_runs_total", "job" => job, "state" => ended.state).increment(1);
        span.in_scope(|| match ended.state {
            "failed" => tracing::error!(detail = ended.detail, "a job failed"),
            state => tracing::info!(state, detail = ended.detail, "a job ended"),
        });
        self.write_down(&ended).await;
    }

    /// Renews the lease and looks after the limits; returns when the job has to end.
    async fn watch(&self, stop: &CancellationToken, mut valid_until: Instant) -> Cut {
        let period = self.settings.lease / 3;
        let mut beat = interval_at(Instant::now() + period, period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let soft = sleep(self.job.soft_limit);
        let mut hard = Box::pin(sleep(self.job.hard_limit));
        let mut stopping = false;
        tokio::pin!(soft);
        loop {
            tokio::select! {
                () = sleep_until(valid_until) => {
                    stop.cancel();
                    return Cut::LeaseLost;
                }
                () = &mut hard => return if stopping { Cut::Stopped } else { Cut::HardLimit },
                () = &mut soft, if !stop.is_cancelled() => stop.cancel(),
                () = self.shutdown.cancelled(), if !stopping => {
                    stopping = true;
                    stop.cancel();
                    hard = Box::pin(sleep(LAST_WORDS));
                }
                _ = beat.tick() => {
                    let asked_at = Instant::now();
                    match timeout_at(valid_until, storage::renew(&self.db, &self.claimed, self.settings.lease)).await {
                        Ok(Ok(true)) => valid_until = asked_at + self.settings.lease,
                        Ok(Ok(false)) => {
                            stop.cancel();
                            return Cut::LeaseLost;
                        }
                        Ok(Err(fault)) => {
                            tracing::warn!(error = &fault as &dyn std::error::Error, "a lease was not renewed");
                        }
                        Err(_) => {}
                    }
                }
            }
        }
    }

    fn judge(&self, joined: Joined) -> Ended {
        match joined {
            Ok(Ok(did)) => Ended {
                state: "succeeded",
                detail: did,
                again_after: None,
                counts: true,
            },
            Ok(Err(fault)) if self.shutdown.is_cancelled() => stopped(&format!("{fault:#}")),
            Ok(Err(fault)) => self.failed(format!("{fault:#}")),
            Err(_) => self.failed("it panicked".to_owned()),
        }
    }

    /// `None` when it is no longer ours to say.
    fn cut_short(&self, cut: &Cut) -> Option<Ended> {
        match cut {
            Cut::LeaseLost => None,
            Cut::HardLimit => Some(self.failed(format!("aborted after {:?}", self.job.hard_limit))),
            Cut::Stopped => Some(stopped("aborted")),
        }
    }

    fn failed(&self, detail: String) -> Ended {
        let earlier = u32::try_from(self.claimed.attempt - 1).unwrap_or_default();
        let again = self.claimed.attempt < self.settings.tries;
        Ended {
            state: "failed",
            detail,
            again_after: again.then(|| self.settings.retry_pause * 4_u32.saturating_pow(earlier)),
            counts: true,
        }
    }

    /// Until the lease would have run out anyway: then another instance runs it once more.
    async fn write_down(&self, ended: &Ended) {
        let give_up = Instant::now() + self.settings.lease;
        while let Err(fault) = storage::finish(&self.db, &self.claimed, ended).await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "how a job ended is not on record"
            );
            if Instant::now() >= give_up || self.shutdown.is_cancelled() {
                return;
            }
            sleep(self.settings.poll).await;
        }
    }
}

/// The process stops: another instance takes it up at once.
fn stopped(why: &str) -> Ended {
    Ended {
        state: "abandoned",
        detail: format!("the process stopped: {why}"),
        again_after: Some(Duration::ZERO),
        counts: false,
    }
}
