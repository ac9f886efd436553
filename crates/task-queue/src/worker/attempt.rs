//! One try: the work in a task of its own, watched by whoever holds its lease, and what comes of it.

use std::time::{Duration, Instant};

use event_bus::tasks::TaskMessage;
use postgres::is_away;
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval_at, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use typed_id::TaskId;

use super::{Shared, count};
use crate::error::TaskError;
use crate::kinds::Kind;
use crate::run::{Done, TaskRun};
use crate::storage::{self, Next};

/// What a task that was told to stop with the process still gets.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// An aborted task is gone by then, unless it blocks its thread.
const ABORTED: Duration = Duration::from_secs(1);
/// After a try that the database was not there for.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Attempt<'a> {
    pub shared: &'a Shared,
    pub kind: &'a Kind,
    pub id: TaskId,
    pub attempt: i32,
    pub fencing: i64,
}

/// How it ended.
enum Ended {
    Done,
    TakenOver,
    /// The lease could not be kept; who has the task is not known.
    LeaseLost,
    Not(Next, String),
}

/// Why the watch ended before the work.
enum Cut {
    LeaseLost,
    HardLimit,
    Stopped,
}

impl Attempt<'_> {
    pub async fn execute(self, message: &TaskMessage) {
        let (name, started) = (self.kind.name, Instant::now());
        count(name, "started");
        let stop = CancellationToken::new();
        let run = TaskRun {
            db: self.shared.db.clone(),
            id: self.id,
            attempt: self.attempt,
            fencing: self.fencing,
            stop: stop.clone(),
        };
        let work = (self.kind.work)(message.payload(), run);
        // Dropping it, as when the worker itself is aborted, ends the work too.
        let mut work = AbortOnDropHandle::new(request_context::spawn(work));
        let ended = tokio::select! {
            joined = &mut work => self.judge(joined),
            cut = self.watch(&stop, message) => {
                work.abort();
                let _ = timeout(ABORTED, &mut work).await;
                self.cut_short(&cut)
            }
        };
        metrics::histogram!("task_seconds", "kind" => name).record(started.elapsed());
        self.conclude(ended, message).await;
    }

    /// Renews the lease and looks after the limits; returns when the work has to end.
    async fn watch(&self, stop: &CancellationToken, message: &TaskMessage) -> Cut {
        let (lease, now) = (self.shared.lease, tokio::time::Instant::now());
        let mut valid_until = now + lease;
        let mut beat = interval_at(now + lease / 3, lease / 3);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut park = interval_at(now + self.shared.parked_after, self.shared.parked_after);
        let soft = sleep(self.kind.policy.soft_limit);
        let mut hard = Box::pin(sleep(self.kind.policy.hard_limit));
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
                () = self.shared.shutdown.cancelled(), if !stopping => {
                    stopping = true;
                    stop.cancel();
                    hard = Box::pin(sleep(LAST_WORDS));
                }
                _ = park.tick() => message.park(lease).await,
                _ = beat.tick() => {
                    let asked_at = tokio::time::Instant::now();
                    let renewing = storage::renew(&self.shared.db, self.id, self.fencing, lease);
                    match timeout_at(valid_until, renewing).await {
                        Ok(Ok(true)) => valid_until = asked_at + lease,
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

    fn judge(&self, joined: Result<Result<Done, TaskError>, JoinError>) -> Ended {
        match joined {
            Ok(Ok(_)) => Ended::Done,
            Ok(Err(TaskError::TakenOver)) => Ended::TakenOver,
            Ok(Err(TaskError::NotNow { after, why })) => Ended::Not(self.later(after), why),
            Ok(Err(TaskError::Poison(fault))) => Ended::Not(Next::Dead, fault.to_string()),
            Ok(Err(TaskError::Transient(fault))) if is_away(fault.as_ref()) => Ended::Not(
                self.later(DATABASE_RETRY),
                format!("the database was away: {fault}"),
            ),
            Ok(Err(TaskError::Transient(fault))) if self.shared.shutdown.is_cancelled() => {
                Ended::Not(Next::Queue, format!("the process stopped: {fault}"))
            }
            Ok(Err(TaskError::Transient(fault))) => self.failed(fault.to_string()),
            Err(_) => self.failed("it panicked".to_owned()),
        }
    }

    fn cut_short(&self, cut: &Cut) -> Ended {
        match cut {
            Cut::LeaseLost => Ended::LeaseLost,
            Cut::HardLimit => self.failed(format!("aborted after {:?}", self.kind.policy.hard_limit)),
            Cut::Stopped => Ended::Not(Next::Queue, "the process stopped".to_owned()),
        }
    }

    fn failed(&self, why: String) -> Ended {
        let policy = &self.kind.policy;
        if self.attempt >= policy.tries {
            return Ended::Not(Next::Dead, why);
        }
        let next = Next::Wait {
            pause: policy.pause_after(self.attempt),
            counts: true,
            interval: policy.interval,
        };
        Ended::Not(next, why)
    }

    fn later(&self, pause: Duration) -> Next {
        Next::Wait {
            pause,
            counts: false,
            interval: self.kind.policy.interval,
        }
    }

    /// First the record, then the message. Whatever comes between, the message comes again and the record says what to do.
    async fn conclude(self, ended: Ended, message: &TaskMessage) {
        let name = self.kind.name;
        let (next, why) = match ended {
            Ended::Done => {
                tracing::debug!("a task is done");
                count(name, "succeeded");
                return message.done().await;
            }
            Ended::TakenOver => {
                tracing::warn!("a task was taken over; what it had done is undone");
                count(name, "taken_over");
                return message.done().await;
            }
            Ended::LeaseLost => {
                tracing::warn!("the lease of a task was lost, and the task cancelled");
                count(name, "taken_over");
                return message.come_again(self.shared.lease).await;
            }
            Ended::Not(next, why) => (next, why),
        };
        let settled = loop {
            match storage::settle(&self.shared.db, self.id, self.fencing, next, &why).await {
                Ok(settled) => break settled,
                Err(fault) => {
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        "how a task ended is not on record"
                    );
                    if !self.shared.pause().await {
                        return;
                    }
                }
            }
        };
        let Some(wait) = settled else {
            // It came to its end after all, or another has it.
            return message.done().await;
        };
        match next {
            Next::Dead => {
                tracing::error!(attempt = self.attempt, why, "a task goes to the dead letters");
                count(name, "dead");
                message.bury(&why, self.attempt).await;
            }
            Next::Wait { counts, .. } => {
                tracing::warn!(attempt = self.attempt, why, ?wait, "a task will be tried again");
                count(name, if counts { "retried" } else { "put_off" });
                message.come_again(wait).await;
            }
            Next::Queue => {
                tracing::info!(why, "a task is given back");
                count(name, "given_back");
                message.give_back().await;
            }
        }
    }
}
