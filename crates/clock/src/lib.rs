//! The injected clock. Code takes a [`Clock`] instead of asking the operating system, so that a test decides what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

/// Tells the time, to the microsecond: what PostgreSQL stores is what the program saw.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    // Microseconds since the epoch; `None` is the operating system's clock.
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`Clock::advance`] moves it. Clones move together.
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self {
            fixed: Some(Arc::new(AtomicI64::new(micros(at)))),
        }
    }

    pub fn now(&self) -> OffsetDateTime {
        match &self.fixed {
            Some(at) => from_micros(at.load(Ordering::SeqCst)),
            None => system_now(),
        }
    }

    /// Moves a fixed clock forward. Does nothing to the system clock.
    pub fn advance(&self, by: Duration) {
        if let Some(at) = &self.fixed {
            let step = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            at.fetch_add(step, Ordering::SeqCst);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the operating system"
)]
fn system_now() -> OffsetDateTime {
    from_micros(micros(OffsetDateTime::now_utc()))
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told_and_clones_move_together() {
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let clock = Clock::fixed(start);
        let twin = clock.clone();
        assert_eq!(clock.now(), start);
        twin.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now(), start + Duration::from_millis(1_500));
    }

    #[test]
    fn the_system_clock_has_microseconds() {
        assert_eq!(Clock::system().now().nanosecond() % 1_000, 0);
    }
}
