//! Cache-aside over a real Redis that also freezes and dies.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache::fred::interfaces::KeysInterface;
use cache::{Cache, Key, Redis, RedisSettings};
use dev_stack::servers::PrivateRedis;
use futures::future::join_all;
use tempfile::TempDir;
use test_support::eventually;

const TTL: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(20);
const KEY: Key = Key::Departments;

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

    /// As another process would connect.
    async fn connect(&self) -> Redis {
        let settings = RedisSettings {
            url: self.redis.url().into(),
            prefix: "t:".into(),
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

async fn get(cache: &Cache, loads: &AtomicU32, value: &str) -> String {
    let load = || async {
        loads.fetch_add(1, Ordering::SeqCst);
        Ok::<_, String>(value.to_owned())
    };
    cache.get_or_load(&KEY, TTL, load).await.unwrap()
}

#[tokio::test]
async fn one_loads_for_all_and_others_find_it() {
    let server = Server::start();
    let redis = server.connect().await;
    let (cache, loads) = (Cache::new(redis.clone()), AtomicU32::new(0));
    let values = join_all((0..200).map(|_| get(&cache, &loads, "v"))).await;
    assert!(values.iter().all(|value| value == "v"));
    assert_eq!(loads.load(Ordering::SeqCst), 1);

    let other = Cache::new(server.connect().await);
    assert_eq!(get(&other, &loads, "not asked for").await, "v");
    assert_eq!(loads.load(Ordering::SeqCst), 1);

    let name = redis.key(&KEY);
    assert_eq!(name, "t:sc:departments:list:all");
    let left = redis
        .run(|client| async move { client.pttl::<i64, _>(name).await })
        .await
        .unwrap();
    assert!((80_000..=100_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn a_failed_load_is_told_and_not_kept() {
    let server = Server::start();
    let (cache, loads) = (Cache::new(server.connect().await), AtomicU32::new(0));
    let failed: Result<String, _> = cache
        .get_or_load(&KEY, TTL, || async { Err("no".to_owned()) })
        .await;
    assert!(failed.is_err());
    assert_eq!(get(&cache, &loads, "v").await, "v");
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_stored_after_it() {
    let server = Server::start();
    let (here, there) = (
        Cache::new(server.connect().await),
        Cache::new(server.connect().await),
    );
    let loads = AtomicU32::new(0);
    let reader = here.clone();
    let changer = there.clone();
    let slow = reader.get_or_load(&KEY, TTL, || async move {
        changer.invalidate(&[KEY]).await;
        Ok::<_, String>("old".to_owned())
    });
    assert_eq!(slow.await.unwrap(), "old");
    assert_eq!(get(&there, &loads, "new").await, "new");
    here.forget_near(&[KEY]).await;
    assert_eq!(get(&here, &loads, "new").await, "new");
    assert_eq!(loads.load(Ordering::SeqCst), 2, "neither found the old value");
}

#[tokio::test]
async fn the_next_generation_forgets_all_pages() {
    let server = Server::start();
    let (here, there) = (
        Cache::new(server.connect().await),
        Cache::new(server.connect().await),
    );
    let before = here.generation(&Key::CourseListGeneration).await;
    there.next_generation(&Key::CourseListGeneration).await;
    assert_eq!(here.generation(&Key::CourseListGeneration).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_frozen_or_dead_redis_holds_nobody_up() {
    let server = Server::start();
    let redis = server.connect().await;
    let cache = Cache::new(redis.clone());
    server.redis.freeze();
    many_loads(&cache, "frozen").await;
    server.redis.thaw();
    eventually(PATIENCE, || async { redis.ping().await.then_some(()) }).await;

    eventually(PATIENCE, || async {
        let is_taken = cache.invalidate(&[KEY]).await;
        (cache.next_generation(&Key::CourseListGeneration).await && is_taken).then_some(())
    })
    .await;

    server.redis.stop();
    many_loads(&cache, "dead").await;
    assert!(!redis.ping().await);
    assert!(!cache.invalidate(&[KEY]).await);
    assert!(!cache.next_generation(&Key::CourseListGeneration).await);
}

/// Far more than the limit of one command times the number of loads would allow.
async fn many_loads(cache: &Cache, value: &str) {
    let loads = Arc::new(AtomicU32::new(0));
    let all = async {
        for _ in 0..1_000 {
            assert_eq!(get(cache, &loads, value).await, value);
            cache.forget_near(&[KEY]).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!(loads.load(Ordering::SeqCst), 1_000);
}
