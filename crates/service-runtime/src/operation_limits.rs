//! How long one run of an operation may take (A-JOB-01): after the soft limit it is asked to stop, after the hard one it is aborted.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(
    clippy::unsafe_derive_deserialize,
    reason = "the unsafe block is tokio's select"
)]
pub struct OperationLimits {
    pub soft_limit_seconds: u32,
    pub hard_limit_seconds: u32,
}

/// A run was not done in time. Its operation has failed with `operation_timeout` and keeps what it has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overdue {
    #[error("it was asked to stop after the soft limit, and did")]
    Stopped,
    #[error("it was aborted after the hard limit")]
    Aborted,
}

impl OperationLimits {
    /// Does the work within the limits. It gets a token that is cancelled with the process's and after the soft limit; work that comes to
    /// its end all the same has succeeded. Aborted work is dropped where it waits: what it has committed stays.
    pub async fn run<T, E, F>(
        self,
        process: &CancellationToken,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> Result<Result<T, E>, Overdue>
    where
        F: Future<Output = Result<T, E>>,
    {
        let stop = process.child_token();
        let limit = |seconds: u32| sleep(Duration::from_secs(seconds.into()));
        let (soft, hard) = (limit(self.soft_limit_seconds), limit(self.hard_limit_seconds));
        let work = work(stop.clone());
        tokio::pin!(soft, hard, work);
        let mut is_late = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut work => return match ended {
                    Err(_) if is_late => Err(Overdue::Stopped),
                    ended => Ok(ended),
                },
                () = &mut hard => return Err(Overdue::Aborted),
                () = &mut soft, if !is_late => {
                    is_late = true;
                    stop.cancel();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LIMITS: OperationLimits = OperationLimits {
        soft_limit_seconds: 1,
        hard_limit_seconds: 2,
    };

    #[tokio::test]
    async fn who_is_late_is_asked_first_and_aborted_then() {
        let process = CancellationToken::new();
        let in_time = LIMITS.run(&process, |_| async { Ok::<_, ()>(7) }).await;
        assert_eq!(in_time, Ok(Ok(7)));
        let fault = LIMITS.run(&process, |_| async { Err::<(), _>("fault") }).await;
        assert_eq!(fault, Ok(Err("fault")));
        let begun = tokio::time::Instant::now();
        let obeys = LIMITS.run(&process, |stop| async move {
            stop.cancelled().await;
            Err::<(), _>("stopped")
        });
        assert_eq!(obeys.await, Err(Overdue::Stopped));
        assert!(begun.elapsed() >= Duration::from_secs(1));
        // The last step was under way.
        let ends = LIMITS.run(&process, |stop| async move {
            stop.cancelled().await;
            Ok::<_, ()>(7)
        });
        assert_eq!(ends.await, Ok(Ok(7)));
        let (begun, held) = (tokio::time::Instant::now(), Arc::new(()));
        let seen = Arc::downgrade(&held);
        let hangs = LIMITS.run(&process, |_| async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, ()>(())
        });
        assert_eq!(hangs.await, Err(Overdue::Aborted));
        assert!(begun.elapsed() >= Duration::from_secs(2));
        assert_eq!(seen.strong_count(), 0);
    }

    #[tokio::test]
    async fn a_process_that_stops_is_no_delay() {
        let process = CancellationToken::new();
        process.cancel();
        let stopped = LIMITS.run(&process, |stop| async move {
            stop.cancelled().await;
            Err::<(), _>("stopped")
        });
        assert_eq!(stopped.await, Ok(Err("stopped")));
    }
}
