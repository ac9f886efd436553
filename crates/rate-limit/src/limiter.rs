//! Redis decides, in one script call for all buckets of a request; while it is away, this process decides for itself.

use std::sync::Arc;

use cache::Redis;
use cache::fred::interfaces::LuaInterface;
use cache::fred::util::sha1_hash;
use tokio::time::Instant;

use crate::bucket::{Bucket, Decision, decide};
use crate::local::LocalBuckets;

/// Gives the tokens of each bucket before this request; takes one of each only when all have one.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local levels, enough = {}, true
for i, key in ipairs(KEYS) do
  local capacity, rate = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local stored = redis.call('HMGET', key, 't', 'a')
  local tokens = capacity
  if stored[1] then
    tokens = math.min(capacity, tonumber(stored[1]) + math.max(0, now - tonumber(stored[2])) * rate)
  end
  levels[i] = tokens
  if tokens < 1 then enough = false end
end
local answer = {}
for i, key in ipairs(KEYS) do
  local capacity, rate = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if enough then
    redis.call('HSET', key, 't', string.format('%.6f', levels[i] - 1), 'a', string.format('%.6f', now))
    redis.call('PEXPIRE', key, math.ceil(1000 * capacity / rate) + 1000)
  end
  answer[i] = string.format('%.6f', levels[i])
end
return answer
";

/// Decides over requests.
#[derive(Clone)]
pub struct RateLimiter {
    redis: Redis,
    /// SHA-1 of the script, by which the server knows it.
    hash: Arc<str>,
    local: LocalBuckets,
    started: Instant,
}

impl RateLimiter {
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            hash: sha1_hash(SCRIPT).into(),
            local: LocalBuckets::new(),
            started: Instant::now(),
        }
    }

    /// Takes one token of each bucket, or none. `None` without buckets.
    pub async fn check(&self, buckets: &[Bucket]) -> Option<Decision> {
        if buckets.is_empty() {
            return None;
        }
        match self.ask_redis(buckets).await {
            Some(tokens) if tokens.len() == buckets.len() => decide(buckets, &tokens),
            _ => {
                metrics::counter!("rate_limit_local_total").increment(1);
                self.local.decide(buckets, self.started.elapsed().as_secs_f64())
            }
        }
    }

    async fn ask_redis(&self, buckets: &[Bucket]) -> Option<Vec<f64>> {
        let keys: Vec<String> = buckets.iter().map(|bucket| self.redis.key(&bucket.key)).collect();
        let arguments: Vec<f64> = buckets
            .iter()
            .flat_map(|b| [f64::from(b.limit.capacity), b.limit.rate()])
            .collect();
        let hash = self.hash.to_string();
        let answer: Vec<String> = self
            .redis
            .run(|client| async move {
                match client.evalsha(hash, keys.clone(), arguments.clone()).await {
                    // The server has forgotten the script, as after a restart.
                    Err(fault) if fault.details().starts_with("NOSCRIPT") => {
                        client.eval(SCRIPT, keys, arguments).await
                    }
                    answer => answer,
                }
            })
            .await?;
        answer.iter().map(|tokens| tokens.parse().ok()).collect()
    }
}
