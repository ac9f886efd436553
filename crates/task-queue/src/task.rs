use std::time::Duration;

use event_bus::Lane;
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of task; its fields are what travels, as JSON.
pub trait Task: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// `what.verb`. It never changes: messages that wait have it.
    const NAME: &'static str;
    const LANE: Lane = Lane::Default;
    const POLICY: Policy = Policy::DEFAULT;
}

/// How a kind of task is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub(crate) tries: i32,
    pub(crate) first_pause: Duration,
    pub(crate) max_pause: Duration,
    pub(crate) soft_limit: Duration,
    pub(crate) hard_limit: Duration,
    pub(crate) interval: Option<Duration>,
}

impl Policy {
    /// A-JOB-01: three tries, a minute after the first; told to stop after 25 minutes, aborted after 30.
    pub const DEFAULT: Self = Self {
        tries: 3,
        first_pause: Duration::from_mins(1),
        max_pause: Duration::from_mins(10),
        soft_limit: Duration::from_mins(25),
        hard_limit: Duration::from_mins(30),
        interval: None,
    };

    /// A-RES-02: three tries, 4 to 10 seconds apart, of something that asks somebody outside.
    pub const OUTSIDE_CALL: Self = Self::DEFAULT.pauses(Duration::from_secs(4), Duration::from_secs(10));

    /// So many in all, before the task is a dead letter.
    #[must_use]
    pub const fn tries(mut self, tries: i32) -> Self {
        self.tries = tries;
        self
    }

    /// After the first try that failed `first`, then twice as long each time, up to half as long again by chance, at most `max`.
    #[must_use]
    pub const fn pauses(mut self, first: Duration, max: Duration) -> Self {
        (self.first_pause, self.max_pause) = (first, max);
        self
    }

    /// After `soft` a run is told to stop, after `hard` it is aborted and has failed.
    #[must_use]
    pub const fn limits(mut self, soft: Duration, hard: Duration) -> Self {
        (self.soft_limit, self.hard_limit) = (soft, hard);
        self
    }

    /// Not more than `count` are begun in `period`, by all processes together; the others wait elsewhere, in nobody's way.
    #[must_use]
    pub const fn rate(mut self, count: u32, period: Duration) -> Self {
        self.interval = Some(Duration::from_micros(
            period.as_micros() as u64 / if count == 0 { 1 } else { count as u64 },
        ));
        self
    }

    pub(crate) fn pause_after(&self, attempt: i32) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1))
            .unwrap_or_default()
            .min(20);
        let pause = self
            .first_pause
            .saturating_mul(2_u32.pow(doublings))
            .min(self.max_pause);
        // By chance longer, so that what failed together does not come back together.
        pause
            .mul_f64(rand::rng().random_range(1.0..1.5))
            .min(self.max_pause.max(self.first_pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn outside_calls_wait_four_to_ten_seconds(attempt in i32::MIN..i32::MAX) {
            let pause = Policy::OUTSIDE_CALL.pause_after(attempt);
            prop_assert!(pause >= Duration::from_secs(4) && pause <= Duration::from_secs(10), "{pause:?}");
        }

        #[test]
        fn pauses_grow_and_stay_bounded(attempt in 1..100_i32) {
            let policy = Policy::DEFAULT.pauses(Duration::from_millis(10), Duration::from_mins(1));
            let least = Duration::from_millis(10).saturating_mul(2_u32.saturating_pow(attempt.unsigned_abs() - 1));
            prop_assert!(policy.pause_after(attempt) >= least.min(Duration::from_mins(1)));
            prop_assert!(policy.pause_after(attempt) <= Duration::from_mins(1));
        }
    }
}
