//! A connection to Redis that never holds up a request: 100 ms for a command, and a breaker while it is away or frozen.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::Builder;
use fred::types::config::{Config, ReconnectPolicy};
use rpc_client::{Breaker, BreakerSettings};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// How to reach Redis.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    pub url: SecretString,
    /// Before every key; keeps apart what shares a server.
    #[serde(default)]
    pub prefix: String,
}

#[derive(Debug, thiserror::Error)]
#[error("redis.url cannot be read")]
pub struct RedisError(#[from] fred::error::Error);

/// The most that a request waits for Redis.
const PATIENCE: Duration = Duration::from_millis(100);

/// Redis as this product uses it: an answer in 100 ms, or none.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    prefix: String,
    breaker: Breaker,
}

impl Redis {
    /// Starts to connect; does not wait, and goes on trying for ever.
    pub fn connect(settings: &RedisSettings) -> Result<Self, RedisError> {
        let client = builder(settings)?
            .with_performance_config(|performance| performance.default_command_timeout = PATIENCE)
            .build()?;
        // The task ends with the client.
        drop(client.connect());
        let breaker = BreakerSettings {
            threshold: 5,
            first_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(5),
        };
        let inner = Inner {
            client,
            prefix: settings.prefix.clone(),
            breaker: Breaker::new(breaker),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The key as the server knows it.
    pub fn key(&self, key: &impl std::fmt::Display) -> String {
        format!("{}{key}", self.inner.prefix)
    }

    /// Does something with Redis; `None` when it is away, slow or refuses.
    pub async fn run<T, F, Fut>(&self, work: F) -> Option<T>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, fred::error::Error>>,
    {
        let breaker = &self.inner.breaker;
        if !breaker.allows() {
            return None;
        }
        let trial = Trial { breaker, told: false };
        let outcome = tokio::time::timeout(PATIENCE, work(self.inner.client.clone())).await;
        trial.told();
        match outcome {
            Ok(Ok(value)) => {
                breaker.succeeded();
                Some(value)
            }
            Ok(Err(fault)) => {
                tracing::debug!(error = &fault as &dyn std::error::Error, "Redis refused");
                self.failed();
                None
            }
            Err(_) => {
                self.failed();
                None
            }
        }
    }

    /// Tells those who listen to a channel; false when Redis did not take it.
    pub async fn publish(&self, channel: &impl std::fmt::Display, message: String) -> bool {
        let channel = self.key(channel);
        self.run(|client| async move { client.publish::<i64, _, _>(channel, message).await })
            .await
            .is_some()
    }

    fn failed(&self) {
        let was_open = self.inner.breaker.is_open();
        self.inner.breaker.failed();
        metrics::counter!("redis_failures_total").increment(1);
        if !was_open && self.inner.breaker.is_open() {
            tracing::warn!("Redis is away or slow; going on without it");
        }
    }

    /// Writes whether it is left alone to the metrics.
    pub fn record_metrics(&self) {
        let is_open = f64::from(u8::from(self.inner.breaker.is_open()));
        metrics::gauge!("circuit_open", "to" => "redis").set(is_open);
    }

    /// Whether it answers now.
    pub async fn ping(&self) -> bool {
        self.run(|client| async move { client.ping::<String>(None).await })
            .await
            .is_some()
    }
}

/// A client that goes on trying for ever to connect.
pub(crate) fn builder(settings: &RedisSettings) -> Result<Builder, RedisError> {
    let config = Config {
        fail_fast: true,
        ..Config::from_url(settings.url.expose_secret())?
    };
    let mut builder = Builder::from_config(config);
    builder
        .with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(1);
            connection.internal_command_timeout = Duration::from_secs(1);
            // A frozen server keeps its socket open: without this its connection is trusted for ever.
            connection.unresponsive.max_timeout = Some(Duration::from_secs(2));
            connection.unresponsive.interval = Duration::from_millis(500);
            connection.max_command_attempts = 1;
        })
        .set_policy(ReconnectPolicy::new_exponential(0, 100, 2_000, 2));
    Ok(builder)
}

/// A caller that goes away in the middle must not keep the breaker's one trial.
struct Trial<'a> {
    breaker: &'a Breaker,
    told: bool,
}

impl Trial<'_> {
    fn told(mut self) {
        self.told = true;
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.abandoned();
        }
    }
}
