//! Buckets that this process decides over by itself and settles with Redis a moment later (docs/adr/0026).
//!
//! What Redis knows of a bucket is asked for when the bucket is new here. From then on requests are decided from memory; what they took
//! is told to Redis later, for many buckets in one call, and what the other processes took comes back with the answer. Where it matters
//! ([`FAR`]) that is at once, elsewhere every few seconds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bucket::{Bucket, Decision, Level, Limit, decide};

/// How long what was taken here may be unknown elsewhere, when it is much of what is left.
pub(crate) const PERIOD: Duration = Duration::from_millis(50);
/// How long when it is not, in seconds.
const CALM_SECONDS: f64 = 5.0;
/// What was taken is not much as long as this many times of it are left.
const FAR: f64 = 8.0;
/// A bucket that nobody drew from for so long is asked for again.
const STALE_SECONDS: f64 = 60.0;
/// Kept at most: beyond that new buckets are decided by Redis each time.
const MAX_BUCKETS: usize = 200_000;

/// What this process thinks of the buckets.
#[derive(Clone, Default)]
pub(crate) struct NearBuckets {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    known: DashMap<Arc<str>, Arc<Mutex<Near>>>,
    /// Buckets to settle at once, each once.
    close: Mutex<Vec<Arc<str>>>,
    /// Buckets with something to settle, and when that is due at the latest.
    open: Mutex<VecDeque<(f64, Arc<str>)>>,
    wake: Notify,
}

struct Near {
    level: Level,
    limit: Limit,
    /// Taken here since the last settlement.
    taken: u32,
    is_close: bool,
}

impl Near {
    fn take(&mut self) {
        self.level.tokens -= 1.0;
        self.taken += 1;
    }

    fn is_far(&self) -> bool {
        f64::from(self.taken) * FAR < self.level.tokens
    }
}

/// What is told to Redis of one bucket.
pub(crate) struct Debt {
    pub key: Arc<str>,
    pub limit: Limit,
    pub taken: u32,
}

impl NearBuckets {
    /// Takes one token of each bucket, or none; `None` when a bucket is not known well enough. `now` is in seconds.
    pub fn decide(&self, buckets: &[Bucket], now: f64) -> Option<Decision> {
        let mut found = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let known = self.inner.known.get(bucket.key.as_str())?;
            found.push((Arc::clone(known.key()), Arc::clone(known.value())));
        }
        // In the order of the buckets, which is the same for all requests: no two wait for each other.
        let mut held: Vec<_> = found.iter().map(|(_, near)| near.lock()).collect();
        for (near, bucket) in held.iter_mut().zip(buckets) {
            if now - near.level.at > STALE_SECONDS {
                return None;
            }
            near.level = near.level.refilled(&bucket.limit, now);
        }
        let tokens: Vec<f64> = held.iter().map(|near| near.level.tokens).collect();
        let decision = decide(buckets, &tokens)?;
        if decision.allowed {
            for (near, (key, _)) in held.iter_mut().zip(&found) {
                near.take();
                if near.taken == 1 {
                    let due = (now + CALM_SECONDS, Arc::clone(key));
                    self.inner.open.lock().push_back(due);
                }
                if !near.is_close && !near.is_far() {
                    near.is_close = true;
                    self.inner.close.lock().push(Arc::clone(key));
                    self.inner.wake.notify_one();
                }
            }
        }
        Some(decision)
    }

    /// Remembers what Redis said: `tokens` are those before this request, which took one of each when it was `allowed`.
    pub fn learn(&self, buckets: &[Bucket], tokens: &[f64], allowed: bool, now: f64) {
        for (bucket, before) in buckets.iter().zip(tokens) {
            let told = Level {
                tokens: before - f64::from(u8::from(allowed)),
                at: now,
            };
            if let Some(known) = self.inner.known.get(bucket.key.as_str()) {
                let mut near = known.lock();
                near.level = told;
                near.level.tokens -= f64::from(near.taken);
                continue;
            }
            if self.inner.known.len() < MAX_BUCKETS {
                let near = Near {
                    level: told,
                    limit: bucket.limit,
                    taken: 0,
                    is_close: false,
                };
                self.inner
                    .known
                    .insert(bucket.key.as_str().into(), Arc::new(Mutex::new(near)));
            }
        }
    }

    /// Waits until there is something to settle at once.
    pub async fn something_close(&self) {
        self.inner.wake.notified().await;
    }

    /// What was taken and has to be told now; all of it when `now` is [`f64::INFINITY`].
    pub fn debts(&self, now: f64) -> Vec<Debt> {
        let mut keys = std::mem::take(&mut *self.inner.close.lock());
        {
            let mut open = self.inner.open.lock();
            let due = open.partition_point(|(due, _)| *due <= now);
            keys.extend(open.drain(..due).map(|(_, key)| key));
        }
        let debts = keys.into_iter().filter_map(|key| {
            let near = Arc::clone(self.inner.known.get(&key)?.value());
            let mut near = near.lock();
            near.is_close = false;
            // It may have been settled since, as a close one.
            let taken = std::mem::take(&mut near.taken);
            (taken > 0).then_some(Debt {
                key,
                limit: near.limit,
                taken,
            })
        });
        debts.collect()
    }

    /// What Redis has left of a bucket after a settlement.
    pub fn settled(&self, key: &str, left: f64, now: f64) {
        if let Some(near) = self.inner.known.get(key) {
            let mut near = near.lock();
            near.level = Level {
                tokens: left - f64::from(near.taken),
                at: now,
            };
        }
    }

    /// Forgets the buckets that nobody drew from lately.
    pub fn sweep(&self, now: f64) {
        self.inner.known.retain(|_, near| {
            let near = near.lock();
            near.taken > 0 || now - near.level.at <= STALE_SECONDS
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(capacity: u32) -> [Bucket; 1] {
        [Bucket {
            key: "k".into(),
            limit: Limit::per(capacity, 3_600),
        }]
    }

    #[test]
    fn a_new_or_stale_bucket_has_to_be_asked_for() {
        let near = NearBuckets::default();
        assert!(near.decide(&bucket(3), 0.0).is_none());
        near.learn(&bucket(3), &[3.0], true, 0.0);
        assert_eq!(near.decide(&bucket(3), 1.0).map(|d| d.remaining), Some(1));
        assert!(near.decide(&bucket(3), 100.0).is_none());
    }

    #[test]
    fn what_others_took_comes_with_the_settlement() {
        let near = NearBuckets::default();
        near.learn(&bucket(10), &[10.0], true, 0.0);
        near.decide(&bucket(10), 0.0);
        let debts = near.debts(f64::INFINITY);
        assert_eq!(debts.iter().map(|debt| debt.taken).collect::<Vec<_>>(), [1]);
        // One more is taken while Redis is asked, and five were taken elsewhere.
        near.decide(&bucket(10), 0.0);
        near.settled("k", 3.0, 0.0);
        assert_eq!(near.decide(&bucket(10), 0.0).map(|d| d.remaining), Some(1));
        assert_eq!(near.debts(f64::INFINITY)[0].taken, 2);
        assert!(near.debts(f64::INFINITY).is_empty());
    }

    #[test]
    fn what_hardly_matters_is_told_later() {
        let near = NearBuckets::default();
        near.learn(&bucket(100), &[100.0], true, 0.0);
        let take = |times: u32| {
            for _ in 0..times {
                near.decide(&bucket(100), 0.0);
            }
        };
        take(10);
        assert!(near.debts(4.9).is_empty());
        assert_eq!(near.debts(5.0)[0].taken, 10);
        take(9);
        assert!(near.debts(0.0).is_empty(), "nine of eighty");
        take(1);
        assert_eq!(near.debts(0.0)[0].taken, 10, "an eighth");
        take(20);
        assert_eq!(near.debts(0.0)[0].taken, 20, "most of what is left");
        assert!(near.debts(f64::INFINITY).is_empty(), "each once");
    }

    #[test]
    fn sweeping_keeps_what_is_not_settled() {
        let near = NearBuckets::default();
        near.learn(&bucket(10), &[10.0], true, 0.0);
        near.decide(&bucket(10), 0.0);
        near.sweep(1_000.0);
        assert_eq!(near.debts(f64::INFINITY).len(), 1);
        near.sweep(1_000.0);
        assert!(near.inner.known.is_empty());
    }
}
