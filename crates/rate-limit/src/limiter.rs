//! Redis decides, in one script call for all buckets of a request, or is told afterwards; while it is away, this process decides for
//! itself.

use std::sync::Arc;
use std::time::Duration;

use cache::Redis;
use cache::fred::error::Error;
use cache::fred::interfaces::LuaInterface;
use cache::fred::types::FromValue;
use cache::fred::util::sha1_hash;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bucket::{Bucket, Decision, decide};
use crate::local::LocalBuckets;
use crate::near::{Debt, NearBuckets, PERIOD};

/// Gives the tokens of each bucket before this request; takes one of each only when all have one.
const TAKE: &str = r"
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

/// Takes what was given already, and gives what is left of each bucket. Two processes may have given the same tokens: then less than
/// nothing is left, but never less than an empty bucket's worth, so that nobody waits for longer than a bucket takes to fill twice.
const SETTLE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local answer = {}
for i, key in ipairs(KEYS) do
  local capacity, rate, taken = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local stored = redis.call('HMGET', key, 't', 'a')
  local tokens = capacity
  if stored[1] then
    tokens = math.min(capacity, tonumber(stored[1]) + math.max(0, now - tonumber(stored[2])) * rate)
  end
  tokens = math.max(-capacity, tokens - taken)
  redis.call('HSET', key, 't', string.format('%.6f', tokens), 'a', string.format('%.6f', now))
  redis.call('PEXPIRE', key, math.ceil(2000 * capacity / rate) + 1000)
  answer[i] = string.format('%.6f', tokens)
end
return answer
";

/// Buckets of one settlement: Redis does nothing else meanwhile.
const MAX_SETTLED: usize = 500;
/// How often it is looked for what is due.
const CALM_TICK: Duration = Duration::from_millis(250);
const SWEEP: Duration = Duration::from_secs(20);

/// Decides over requests.
#[derive(Clone)]
pub struct RateLimiter {
    redis: Redis,
    take: Script,
    settle: Script,
    near: NearBuckets,
    local: LocalBuckets,
    started: Instant,
}

#[derive(Clone)]
struct Script {
    text: &'static str,
    /// SHA-1, by which the server knows it.
    hash: Arc<str>,
}

impl RateLimiter {
    pub fn new(redis: Redis) -> Self {
        let script = |text| Script {
            text,
            hash: sha1_hash(text).into(),
        };
        Self {
            redis,
            take: script(TAKE),
            settle: script(SETTLE),
            near: NearBuckets::default(),
            local: LocalBuckets::new(),
            started: Instant::now(),
        }
    }

    /// Takes one token of each bucket, or none, as Redis says: exact over all processes. `None` without buckets.
    pub async fn check(&self, buckets: &[Bucket]) -> Option<Decision> {
        if buckets.is_empty() {
            return None;
        }
        match Box::pin(self.ask_redis(buckets)).await {
            Some(tokens) => decide(buckets, &tokens),
            None => self.local.decide(buckets, self.now()),
        }
    }

    /// The same from memory, where the buckets are known. Other processes hear of it within 50 ms when an eighth of what is left was
    /// taken, and within seconds otherwise: that is how much more than the limit says somebody may have who asks all of them at once.
    /// Needs [`RateLimiter::keep_settled`].
    pub async fn check_near(&self, buckets: &[Bucket]) -> Option<Decision> {
        if buckets.is_empty() {
            return None;
        }
        if let Some(decision) = self.near.decide(buckets, self.now()) {
            return Some(decision);
        }
        // Boxed: hardly a request asks.
        if let Some(tokens) = Box::pin(self.ask_redis(buckets)).await {
            let decision = decide(buckets, &tokens)?;
            self.near.learn(buckets, &tokens, decision.allowed, self.now());
            return Some(decision);
        }
        self.local.decide(buckets, self.now())
    }

    /// Tells Redis what was taken from memory, until `shutdown`.
    pub async fn keep_settled(self, shutdown: CancellationToken) {
        let mut swept = Instant::now();
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.near.something_close() => tokio::time::sleep(PERIOD).await,
                () = tokio::time::sleep(CALM_TICK) => {}
            }
            for debts in self.near.debts(self.now()).chunks(MAX_SETTLED) {
                self.settle(debts).await;
            }
            if swept.elapsed() >= SWEEP {
                self.near.sweep(self.now());
                swept = Instant::now();
            }
        }
        // Whoever goes on hears of everything.
        for debts in self.near.debts(f64::INFINITY).chunks(MAX_SETTLED) {
            self.settle(debts).await;
        }
    }

    /// While Redis is away the levels of this process stand as they are; its debts are forgotten, or it would be shut out for as long as
    /// Redis was away.
    async fn settle(&self, debts: &[Debt]) {
        let keys: Vec<String> = debts.iter().map(|debt| self.redis.key(&debt.key)).collect();
        let arguments: Vec<f64> = debts
            .iter()
            .flat_map(|debt| {
                [
                    f64::from(debt.limit.capacity),
                    debt.limit.rate(),
                    f64::from(debt.taken),
                ]
            })
            .collect();
        let Some(left) = self.run(&self.settle, keys, arguments).await else {
            metrics::counter!("rate_limit_unsettled_total").increment(debts.len() as u64);
            return;
        };
        let now = self.now();
        for (debt, left) in debts.iter().zip(left) {
            self.near.settled(&debt.key, left, now);
        }
    }

    async fn ask_redis(&self, buckets: &[Bucket]) -> Option<Vec<f64>> {
        let keys: Vec<String> = buckets.iter().map(|bucket| self.redis.key(&bucket.key)).collect();
        let arguments: Vec<f64> = buckets
            .iter()
            .flat_map(|b| [f64::from(b.limit.capacity), b.limit.rate()])
            .collect();
        let tokens = self.run(&self.take, keys, arguments).await;
        if tokens.is_none() {
            metrics::counter!("rate_limit_local_total").increment(1);
        }
        tokens
    }

    /// What the script says of each key.
    async fn run(&self, script: &Script, keys: Vec<String>, arguments: Vec<f64>) -> Option<Vec<f64>> {
        let asked = keys.len();
        let answer: Vec<String> = self
            .redis
            .run(|client| async move { evaluate(&client, script, keys, arguments).await })
            .await?;
        let tokens: Option<Vec<f64>> = answer.iter().map(|tokens| tokens.parse().ok()).collect();
        tokens.filter(|tokens| tokens.len() == asked)
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

async fn evaluate<T: FromValue>(
    client: &impl LuaInterface,
    script: &Script,
    keys: Vec<String>,
    arguments: Vec<f64>,
) -> Result<T, Error> {
    match client
        .evalsha(script.hash.to_string(), keys.clone(), arguments.clone())
        .await
    {
        // The server has forgotten the script, as after a restart.
        Err(fault) if fault.details().starts_with("NOSCRIPT") => {
            client.eval(script.text, keys, arguments).await
        }
        answer => answer,
    }
}
