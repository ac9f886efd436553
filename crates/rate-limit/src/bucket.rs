//! The arithmetic of a token bucket.

use std::time::Duration;

use serde::Deserialize;

/// How much a bucket gives.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Tokens of a full bucket: the burst.
    pub capacity: u32,
    /// Tokens that come back in `period_seconds`.
    pub refill: u32,
    pub period_seconds: u32,
}

impl Limit {
    /// `n` a period, as a burst too.
    pub const fn per(n: u32, period_seconds: u32) -> Self {
        Self {
            capacity: n,
            refill: n,
            period_seconds,
        }
    }

    /// Tokens a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.refill) / f64::from(self.period_seconds.max(1))
    }
}

/// A bucket that a request draws from.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `ratelimit:ip:192.0.2.1`
    pub key: String,
    pub limit: Limit,
}

/// What became of a request; of several buckets, the one with the least left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    pub allowed: bool,
    /// Which of the buckets it tells of.
    pub bucket: usize,
    pub limit: Limit,
    /// Whole tokens left.
    pub remaining: u32,
    /// Until the bucket is full again.
    pub reset_after: Duration,
    /// Until a token is there; zero when allowed.
    pub retry_after: Duration,
}

/// A bucket's state. Times are seconds of any clock that does not run backwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub tokens: f64,
    pub at: f64,
}

impl Level {
    pub fn full(limit: &Limit, now: f64) -> Self {
        Self {
            tokens: f64::from(limit.capacity),
            at: now,
        }
    }

    /// With what has come back until `now`.
    pub fn refilled(self, limit: &Limit, now: f64) -> Self {
        let elapsed = (now - self.at).max(0.0);
        let tokens = (self.tokens + elapsed * limit.rate()).min(f64::from(limit.capacity));
        Self {
            tokens,
            at: now.max(self.at),
        }
    }
}

/// The decision over buckets whose tokens, before this request, are these. It tells of the last bucket, the most particular one,
/// unless another refuses.
pub(crate) fn decide(buckets: &[Bucket], tokens: &[f64]) -> Option<Decision> {
    let all = || buckets.iter().zip(tokens).enumerate();
    let refusing = all()
        .filter(|(_, (_, tokens))| **tokens < 1.0)
        .max_by(|(_, (a, left)), (_, (b, right))| wait(&a.limit, **left).total_cmp(&wait(&b.limit, **right)));
    let allowed = refusing.is_none();
    let (place, (bucket, tokens)) = refusing.or_else(|| all().next_back())?;
    let limit = bucket.limit;
    let tokens = if allowed { tokens - 1.0 } else { *tokens };
    let missing = (f64::from(limit.capacity) - tokens).max(0.0);
    Some(Decision {
        allowed,
        bucket: place,
        limit,
        remaining: tokens.max(0.0) as u32,
        reset_after: seconds(missing / limit.rate()),
        retry_after: if allowed {
            Duration::ZERO
        } else {
            seconds(wait(&limit, tokens))
        },
    })
}

/// Seconds until a token is there.
fn wait(limit: &Limit, tokens: f64) -> f64 {
    (1.0 - tokens) / limit.rate()
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::from_hours(24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_back(
            capacity in 1u32..20, refill in 1u32..20, period in 1u32..10, gaps in prop::collection::vec(0.0f64..3.0, 1..200),
        ) {
            let limit = Limit { capacity, refill, period_seconds: period };
            let bucket = [Bucket { key: "k".into(), limit }];
            let (mut now, mut allowed) = (1_000.0, 0_u32);
            let mut level = Level::full(&limit, now);
            for gap in gaps {
                now += gap;
                level = level.refilled(&limit, now);
                let decision = decide(&bucket, &[level.tokens]).unwrap();
                if decision.allowed {
                    level.tokens -= 1.0;
                    allowed += 1;
                } else {
                    // Waiting as long as it says is enough.
                    let later = level.refilled(&limit, now + decision.retry_after.as_secs_f64() + 1e-6);
                    prop_assert!(later.tokens >= 1.0 - 1e-6);
                }
                prop_assert!(f64::from(allowed) <= f64::from(capacity) + (now - 1_000.0) * limit.rate() + 1e-6);
            }
        }
    }
}
