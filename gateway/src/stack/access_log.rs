//! Which requests get a line: each one while there are few, a share of them while there are many. What went wrong inside, or took
//! too long, always has its line. Being busy is nothing that went wrong: to write a line costs as much as to refuse, and thousands a second
//! would be refused at the expense of those who are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clock::Clock;
use http::StatusCode;

/// The budget of lines.
#[derive(Clone)]
pub struct AccessLog {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    per_second: u64,
    good: Budget,
    /// Of clients' mistakes, and of 503: a flood of them must not hide the others.
    refused: Budget,
}

/// Lines of the current second, and what went without one since the last.
#[derive(Default)]
struct Budget {
    second: AtomicU64,
    lines: AtomicU64,
    skipped: AtomicU64,
}

impl AccessLog {
    /// `per_second` lines for good answers, and as many for refusals.
    pub fn new(per_second: u64, clock: Clock) -> Self {
        let inner = Inner {
            clock,
            per_second,
            good: Budget::default(),
            refused: Budget::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether the request gets a line, and how many of its kind went without one before it.
    pub fn admits(&self, status: StatusCode, is_slow: bool) -> Option<u64> {
        // Why a part is away has a line of its own (`Problem::log`).
        let is_refused = status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE;
        if is_slow || (status.is_server_error() && !is_refused) {
            return Some(0);
        }
        let budget = if is_refused {
            &self.inner.refused
        } else {
            &self.inner.good
        };
        let second = u64::try_from(self.inner.clock.now().unix_timestamp()).unwrap_or_default();
        budget.take(self.inner.per_second, second)
    }
}

impl Budget {
    /// Two threads at the turn of a second may both begin it: a line more or less does no harm.
    fn take(&self, per_second: u64, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.load(Ordering::Relaxed) < per_second {
            self.lines.fetch_add(1, Ordering::Relaxed);
            Some(self.skipped.swap(0, Ordering::Relaxed))
        } else {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_sampled_and_says_so_and_faults_are_always_told() {
        let log = AccessLog::new(2, Clock::fixed(time::OffsetDateTime::UNIX_EPOCH));
        let lines: Vec<_> = (0..5).map(|_| log.admits(StatusCode::OK, false)).collect();
        assert_eq!(lines, [Some(0), Some(0), None, None, None]);
        assert_eq!(log.admits(StatusCode::BAD_REQUEST, false), Some(0));
        let busy: Vec<_> = (0..3)
            .map(|_| log.admits(StatusCode::SERVICE_UNAVAILABLE, false))
            .collect();
        assert_eq!(busy, [Some(0), None, None]);
        assert_eq!(log.admits(StatusCode::BAD_GATEWAY, false), Some(0));
        assert_eq!(log.admits(StatusCode::OK, true), Some(0));
    }

    #[test]
    fn the_next_second_has_lines_again_and_counts_what_had_none() {
        let budget = Budget::default();
        let taken: Vec<_> = [7, 7, 7, 8].map(|second| budget.take(1, second)).to_vec();
        assert_eq!(taken, [Some(0), None, None, Some(2)]);
    }
}
