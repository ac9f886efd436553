//! A decision over two buckets, the edge's and the class's: by Redis one at a time and 64 at once, and by this process alone.
//! Redis is a private one, started for this.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]

use std::time::{Duration, Instant};

use cache::{Redis, RedisSettings};
use criterion::{Criterion, criterion_group, criterion_main};
use dev_stack::servers::PrivateRedis;
use futures::future::join_all;
use rate_limit::{Bucket, Limit, RateLimiter};
use test_support::eventually;

const AT_ONCE: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(20);

fn buckets(user: u64) -> [Bucket; 2] {
    let limit = Limit {
        capacity: 1_000_000,
        refill: 1_000_000,
        period_seconds: 1,
    };
    [
        format!("ratelimit:ip:127.0.0.{}", user % 250),
        format!("ratelimit:user:0193b2a4-6c3e-7b1a-9f00-3f5f1f0d{user:04}:api_read"),
    ]
    .map(|key| Bucket { key, limit })
}

fn decide(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateRedis::start(folder.path()).unwrap();
    let settings = RedisSettings {
        url: server.url().into(),
        prefix: String::new(),
    };
    let limiter = runtime.block_on(async {
        let redis = Redis::connect(&settings).unwrap();
        eventually(PATIENCE, || async { redis.ping().await.then_some(()) }).await;
        RateLimiter::new(redis)
    });
    let mut group = criterion.benchmark_group("rate limit decision");
    group.bench_function("Redis, one at a time", |bencher| {
        bencher.iter(|| runtime.block_on(limiter.check(&buckets(1))).unwrap());
    });
    group.bench_function("Redis, one of 64 at once", |bencher| {
        bencher.iter_custom(|count| {
            let began = Instant::now();
            runtime.block_on(async {
                for _ in 0..count.div_ceil(AT_ONCE) {
                    let all = (0..AT_ONCE).map(|user| {
                        let limiter = limiter.clone();
                        async move { limiter.check(&buckets(user)).await }
                    });
                    join_all(all).await;
                }
            });
            began
                .elapsed()
                .mul_f64(count as f64 / (count.div_ceil(AT_ONCE) * AT_ONCE) as f64)
        });
    });
    server.stop();
    group.bench_function("this process, Redis being away", |bencher| {
        bencher.iter(|| runtime.block_on(limiter.check(&buckets(1))).unwrap());
    });
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
