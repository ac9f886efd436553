//! Cache-aside: the process's own small cache, then Redis, then the loader; one loads, the others wait.

use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::KeysInterface;
use fred::types::{Expiration, SetOptions};
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Key, Redis};

/// What another process changed is seen after this at the latest, should its event be missed.
const NEAR_TTL: Duration = Duration::from_secs(5);
const NEAR_BYTES: u64 = 16 << 20;
/// Whoever began to load before an invalidation must not store what it read: for this long nothing is stored.
const TOMBSTONE: Duration = Duration::from_secs(5);

/// Why a value is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum CacheError<E: std::fmt::Debug> {
    /// The loader's error; all who waited for it share it.
    #[error("the value could not be loaded: {0:?}")]
    Load(Arc<LoadFault<E>>),
    #[error("the value has another shape")]
    Shape(#[source] serde_json::Error),
}

#[derive(Debug)]
pub enum LoadFault<E> {
    Load(E),
    Json(serde_json::Error),
}

/// A cache over Redis. Without Redis it is a small cache in the process.
#[derive(Clone)]
pub struct Cache {
    redis: Redis,
    near: moka::future::Cache<String, Arc<[u8]>>,
}

impl Cache {
    pub fn new(redis: Redis) -> Self {
        let near = moka::future::Cache::builder()
            .weigher(|key: &String, value: &Arc<[u8]>| {
                u32::try_from(key.len() + value.len()).unwrap_or(u32::MAX)
            })
            .max_capacity(NEAR_BYTES)
            .time_to_live(NEAR_TTL)
            .build();
        Self { redis, near }
    }

    /// The value under `key`, loaded when nobody has it. A failed load is not kept.
    pub async fn get_or_load<T, E, F, Fut>(
        &self,
        key: &Key,
        ttl: Duration,
        load: F,
    ) -> Result<T, CacheError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: std::fmt::Debug + Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let name = key.to_string();
        if let Some(bytes) = self.near.get(&name).await
            && let Ok(value) = serde_json::from_slice(&bytes)
        {
            metrics::counter!("cache_requests_total", "outcome" => "near_hit").increment(1);
            return Ok(value);
        }
        // What the near cache holds was written or checked by this process: it reads as a T.
        let mut own = None;
        let filling = self.near.try_get_with(name, async {
            if let Some(bytes) = self.read(key).await
                && serde_json::from_slice::<T>(&bytes).is_ok()
            {
                metrics::counter!("cache_requests_total", "outcome" => "hit").increment(1);
                return Ok(bytes);
            }
            metrics::counter!("cache_requests_total", "outcome" => "miss").increment(1);
            let value = load().await.map_err(LoadFault::Load)?;
            let bytes: Arc<[u8]> = serde_json::to_vec(&value).map_err(LoadFault::Json)?.into();
            self.write(key, &bytes, ttl).await;
            own = Some(value);
            Ok(bytes)
        });
        let bytes = filling.await.map_err(CacheError::Load)?;
        match own {
            Some(value) => Ok(value),
            None => serde_json::from_slice(&bytes).map_err(CacheError::Shape),
        }
    }

    /// Forgets values, here and in Redis; false when Redis did not take it all, and may show what is old again. To ask once more does no
    /// harm.
    pub async fn invalidate(&self, keys: &[Key]) -> bool {
        self.forget_near(keys).await;
        let mut is_taken = true;
        for key in keys {
            let name = self.redis.key(key);
            let expiry = Some(Expiration::PX(TOMBSTONE.as_millis() as i64));
            let set = self
                .redis
                .run(|client| async move { client.set::<(), _, _>(name, "", expiry, None, false).await });
            is_taken &= set.await.is_some();
        }
        is_taken
    }

    /// Forgets values in this process, as another one has changed them.
    pub async fn forget_near(&self, keys: &[Key]) {
        for key in keys {
            self.near.invalidate(&key.to_string()).await;
        }
    }

    /// The number under a generation key; 0 when there is none or Redis is away.
    pub async fn generation(&self, key: &Key) -> u64 {
        let name = self.redis.key(key);
        let found = self
            .redis
            .run(|client| async move { client.get::<Option<u64>, _>(name).await })
            .await;
        found.flatten().unwrap_or(0)
    }

    /// Makes all values of the present generation unreachable; false when Redis did not take it.
    pub async fn next_generation(&self, key: &Key) -> bool {
        let name = self.redis.key(key);
        self.redis
            .run(|client| async move { client.incr::<u64, _>(name).await })
            .await
            .is_some()
    }

    async fn read(&self, key: &Key) -> Option<Arc<[u8]>> {
        let name = self.redis.key(key);
        let found = self
            .redis
            .run(|client| async move { client.get::<Option<Vec<u8>>, _>(name).await })
            .await?;
        // Empty: a tombstone.
        found.filter(|bytes| !bytes.is_empty()).map(Arc::from)
    }

    async fn write(&self, key: &Key, bytes: &[u8], ttl: Duration) {
        // Up to a tenth shorter, so that what was filled together does not expire together.
        let seconds = ttl.as_secs_f64() * rand::rng().random_range(0.9..=1.0);
        let (name, bytes) = (self.redis.key(key), bytes.to_vec());
        let expiry = Some(Expiration::PX((seconds * 1_000.0) as i64));
        self.redis
            .run(|client| async move {
                client
                    .set::<Option<String>, _, _>(name, bytes.as_slice(), expiry, Some(SetOptions::NX), false)
                    .await
            })
            .await;
    }
}
