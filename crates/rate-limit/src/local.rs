//! Buckets of this process alone.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;

use crate::bucket::{Bucket, Decision, Level, decide};

/// Kept at most; a bucket that is dropped begins full.
const MAX_BUCKETS: u64 = 100_000;

#[derive(Clone)]
pub(crate) struct LocalBuckets {
    levels: Cache<String, Arc<Mutex<Level>>>,
}

impl LocalBuckets {
    pub fn new() -> Self {
        let levels = Cache::builder()
            .max_capacity(MAX_BUCKETS)
            .time_to_idle(Duration::from_hours(1))
            .build();
        Self { levels }
    }

    /// Takes one token of each bucket, or none. `now` is in seconds.
    pub fn decide(&self, buckets: &[Bucket], now: f64) -> Option<Decision> {
        let levels: Vec<_> = buckets
            .iter()
            .map(|bucket| {
                self.levels.get_with(bucket.key.clone(), || {
                    Arc::new(Mutex::new(Level::full(&bucket.limit, now)))
                })
            })
            .collect();
        // In the order of the buckets, which is the same for all requests: no two wait for each other.
        let mut held: Vec<_> = levels.iter().map(|level| level.lock()).collect();
        for (level, bucket) in held.iter_mut().zip(buckets) {
            **level = level.refilled(&bucket.limit, now);
        }
        let tokens: Vec<f64> = held.iter().map(|level| level.tokens).collect();
        let decision = decide(buckets, &tokens)?;
        if decision.allowed {
            for level in &mut held {
                level.tokens -= 1.0;
            }
        }
        Some(decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;
    use proptest::prelude::*;

    /// The bucket in whole numbers: tokens times the period in microseconds.
    struct Reference {
        level: u64,
        limit: Limit,
    }

    impl Reference {
        fn full(limit: &Limit) -> Self {
            let level = u64::from(limit.capacity) * u64::from(limit.period_seconds) * 1_000_000;
            Self { level, limit: *limit }
        }

        fn take(&mut self) {
            self.level = self.level.saturating_sub(self.period());
        }

        fn period(&self) -> u64 {
            u64::from(self.limit.period_seconds) * 1_000_000
        }

        fn wait(&mut self, micros: u64) {
            let full = u64::from(self.limit.capacity) * self.period();
            self.level = (self.level + micros * u64::from(self.limit.refill)).min(full);
        }

        /// `None` on the edge, where rounding decides.
        fn allows(&self) -> Option<bool> {
            let is_close = self.level.abs_diff(self.period()) < 1_000;
            (!is_close).then_some(self.level >= self.period())
        }
    }

    fn limits() -> impl Strategy<Value = Limit> {
        (1u32..20, 1u32..50, 1u32..100).prop_map(|(capacity, refill, period_seconds)| Limit {
            capacity,
            refill,
            period_seconds,
        })
    }

    proptest! {
        #[test]
        fn they_do_what_the_reference_does(
            limits in prop::collection::vec(limits(), 1..3),
            gaps in prop::collection::vec(0u64..5_000_000, 1..150),
        ) {
            let local = LocalBuckets::new();
            let named = limits.iter().enumerate();
            let buckets: Vec<Bucket> =
                named.map(|(place, limit)| Bucket { key: format!("bucket-{place}"), limit: *limit }).collect();
            let mut references: Vec<Reference> = limits.iter().map(Reference::full).collect();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                references.iter_mut().for_each(|reference| reference.wait(gap));
                let expected: Vec<Option<bool>> = references.iter().map(Reference::allows).collect();
                let decision = local.decide(&buckets, now as f64 / 1e6).unwrap();
                if expected.contains(&Some(false)) {
                    prop_assert!(!decision.allowed);
                } else if !expected.contains(&None) {
                    prop_assert!(decision.allowed);
                }
                if decision.allowed {
                    references.iter_mut().for_each(Reference::take);
                }
            }
        }
    }
}
