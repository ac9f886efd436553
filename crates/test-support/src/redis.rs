//! A key prefix for each test.

use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::Builder;
use fred::types::config::Config;

use crate::cleanup;

/// A prefix on the common Redis. Its keys go with this value.
#[derive(Debug)]
pub struct TestRedis {
    url: String,
    prefix: String,
}

impl TestRedis {
    pub fn new() -> Self {
        Self {
            url: crate::servers().redis,
            prefix: format!("t{}:", crate::unique()),
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Before every key of the test.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Default for TestRedis {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        let (url, pattern) = (self.url.clone(), format!("{}*", self.prefix));
        cleanup::run(async move {
            if let Err(fault) = remove(&url, pattern).await {
                tracing::debug!(error = &fault as &dyn std::error::Error, "a test's keys stay");
            }
        });
    }
}

async fn remove(url: &str, pattern: String) -> Result<(), fred::error::Error> {
    let client: Client = Builder::from_config(Config::from_url(url)?).build()?;
    client.init().await?;
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys): (String, Vec<String>) = client
            .scan_page(cursor, pattern.clone(), Some(1_000), None)
            .await?;
        if !keys.is_empty() {
            client.del::<(), _>(keys).await?;
        }
        if next == "0" {
            return client.quit().await;
        }
        cursor = next;
    }
}
