//! Buckets in a real Redis, shared by processes, and what is left without it.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use cache::fred::interfaces::LuaInterface;
use cache::{Redis, RedisSettings};
use dev_stack::servers::PrivateRedis;
use futures::future::join_all;
use rate_limit::{Bucket, Limit, RateLimiter};
use std::time::Duration;
use tempfile::TempDir;
use test_support::eventually;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    redis: PrivateRedis,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            redis: PrivateRedis::start(folder.path()).unwrap(),
            _folder: folder,
        }
    }

    async fn connect(&self) -> Redis {
        let settings = RedisSettings {
            url: self.redis.url().into(),
            prefix: String::new(),
        };
        let redis = Redis::connect(&settings).unwrap();
        eventually(PATIENCE, || async { redis.ping().await.then_some(()) }).await;
        redis
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.redis.stop();
    }
}

/// Nothing comes back while a test runs.
fn bucket(key: &str, capacity: u32) -> Bucket {
    let limit = Limit {
        capacity,
        refill: 1,
        period_seconds: 86_400,
    };
    Bucket {
        key: key.into(),
        limit,
    }
}

/// Fifty at a time: what Redis does not answer within the limit of a command is decided by the process alone, and does not count here.
const AT_ONCE: usize = 50;

async fn allowed(limiters: &[RateLimiter], buckets: &[Bucket], requests: usize) -> usize {
    let mut allowed = 0;
    for begun in (0..requests).step_by(AT_ONCE) {
        let turns = begun..requests.min(begun + AT_ONCE);
        let checks = turns.map(|turn| limiters[turn % limiters.len()].check(buckets));
        let decisions = join_all(checks).await;
        allowed += decisions
            .into_iter()
            .filter(|decision| decision.is_some_and(|decision| decision.allowed))
            .count();
    }
    allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn of_500_exactly_the_capacity_passes_over_all_processes() {
    let server = Server::start();
    let limiters = [
        RateLimiter::new(server.connect().await),
        RateLimiter::new(server.connect().await),
    ];
    assert_eq!(
        allowed(&limiters, &[bucket("ratelimit:user:1:api_read", 100)], 500).await,
        100
    );
}

#[tokio::test]
async fn a_refused_request_takes_no_token_of_any_bucket() {
    let server = Server::start();
    let limiter = [RateLimiter::new(server.connect().await)];
    let (wide, narrow) = (bucket("wide", 50), bucket("narrow", 2));
    assert_eq!(allowed(&limiter, &[wide.clone(), narrow], 30).await, 2);
    assert_eq!(allowed(&limiter, &[wide], 100).await, 48);
}

#[tokio::test]
async fn a_refusal_tells_which_bucket_and_when() {
    let server = Server::start();
    let limiter = RateLimiter::new(server.connect().await);
    let (wide, narrow) = (bucket("wide", 50), bucket("narrow", 1));
    let first = limiter.check(&[wide.clone(), narrow.clone()]).await.unwrap();
    assert_eq!((first.allowed, first.bucket, first.remaining), (true, 1, 0));
    let second = limiter.check(&[narrow, wide]).await.unwrap();
    assert_eq!((second.allowed, second.bucket, second.remaining), (false, 0, 0));
    assert!(second.retry_after > Duration::from_hours(23) && second.retry_after <= Duration::from_hours(24));
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_given_it_again() {
    let server = Server::start();
    let redis = server.connect().await;
    let limiter = [RateLimiter::new(redis.clone())];
    assert_eq!(allowed(&limiter, &[bucket("k", 5)], 3).await, 3);
    redis
        .run(|client| async move { client.script_flush(false).await })
        .await
        .unwrap();
    assert_eq!(
        allowed(&limiter, &[bucket("k", 5)], 10).await,
        2,
        "the buckets are still there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_frozen_or_dead_redis_leaves_each_process_its_own_limit() {
    let server = Server::start();
    let limiter = [RateLimiter::new(server.connect().await)];
    server.redis.freeze();
    // One after the other: waiting for each would take far longer than the patience.
    let checks = async {
        let mut passed = 0;
        for _ in 0..1_000 {
            passed += allowed(&limiter, &[bucket("frozen", 7)], 1).await;
        }
        passed
    };
    assert_eq!(tokio::time::timeout(PATIENCE, checks).await.unwrap(), 7);
    server.redis.stop();
    assert_eq!(allowed(&limiter, &[bucket("dead", 9)], 500).await, 9);
}

/// Takes one after the other, so that memory decides most of them.
async fn allowed_near(limiter: &RateLimiter, buckets: &[Bucket], requests: usize) -> usize {
    let mut allowed = 0;
    for _ in 0..requests {
        let decision = limiter.check_near(buckets).await;
        allowed += usize::from(decision.is_some_and(|decision| decision.allowed));
    }
    allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_decides_from_memory_is_known_to_the_others() {
    let server = Server::start();
    let (here, there) = (
        RateLimiter::new(server.connect().await),
        RateLimiter::new(server.connect().await),
    );
    let stop = CancellationToken::new();
    let settling = [&here, &there].map(|limiter| tokio::spawn(limiter.clone().keep_settled(stop.clone())));
    let bucket = [bucket("ratelimit:user:1:api_read", 100)];
    assert_eq!(allowed_near(&here, &bucket, 60).await, 60);
    // Exact once it is settled: forty are left for the other one.
    eventually(PATIENCE, || async {
        let left = there.check(&bucket).await?;
        (left.remaining < 40).then_some(())
    })
    .await;
    let more = allowed_near(&there, &bucket, 100).await;
    assert!((1..=39).contains(&more), "{more}");
    eventually(PATIENCE, || async {
        let decision = here.check_near(&bucket).await?;
        (!decision.allowed).then_some(())
    })
    .await;
    stop.cancel();
    for task in settling {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_dead_redis_changes_nothing_for_buckets_that_are_known() {
    let server = Server::start();
    let limiter = RateLimiter::new(server.connect().await);
    let stop = CancellationToken::new();
    let settling = tokio::spawn(limiter.clone().keep_settled(stop.clone()));
    let bucket = [bucket("known", 10)];
    assert_eq!(allowed_near(&limiter, &bucket, 4).await, 4);
    server.redis.stop();
    assert_eq!(allowed_near(&limiter, &bucket, 20).await, 6);
    stop.cancel();
    settling.await.unwrap();
}
