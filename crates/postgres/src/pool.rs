//! The pools of a service: one to the primary, one to each replica.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::autocommit::Autocommit;
use crate::connections::{Connections, PATIENCE, Taken};
use crate::replicas::Replicas;

/// How to reach the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    pub url: SecretString,
    /// Read-only copies, for lists and searches.
    #[serde(default)]
    pub replica_urls: Vec<SecretString>,
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    #[serde(default)]
    pub min_connections: u32,
    #[serde(default = "default_acquire_timeout")]
    pub acquire_timeout_seconds: u64,
    /// Prepared statements kept for each connection.
    #[serde(default = "default_statement_cache")]
    pub statement_cache: usize,
}

fn default_max_connections() -> u32 {
    10
}

fn default_acquire_timeout() -> u64 {
    3
}

fn default_statement_cache() -> usize {
    200
}

#[derive(Debug, thiserror::Error)]
#[error("the database's URL cannot be read")]
pub struct ConnectError(#[source] sqlx::Error);

/// A service's access to its own schema.
#[derive(Debug, Clone)]
pub struct Database {
    connections: Arc<Connections>,
    primary: Arc<Autocommit>,
    repeatable: Arc<Autocommit>,
    replicas: Arc<Replicas>,
    schema: &'static str,
    clock: Clock,
    relay: Arc<Notify>,
}

impl Database {
    /// Makes the pools. Connections are opened when they are needed: a database that is away does not stop the start.
    pub fn connect(
        settings: &DatabaseSettings,
        schema: &'static str,
        clock: Clock,
    ) -> Result<Self, ConnectError> {
        let connections = pool(settings, &settings.url, schema)?;
        let replicas = settings
            .replica_urls
            .iter()
            .map(|url| pool(settings, url, schema));
        Ok(Self {
            primary: Arc::new(Autocommit::on(Arc::clone(&connections))),
            repeatable: Arc::new(Autocommit::repeating(Arc::clone(&connections))),
            connections,
            replicas: Arc::new(Replicas::new(replicas.collect::<Result<_, _>>()?)),
            schema,
            clock,
            relay: Arc::default(),
        })
    }

    pub fn schema(&self) -> &'static str {
        self.schema
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// For everything that decides something: reads before a write, grades, attempts, and what a caller has just written.
    pub fn primary(&self) -> &Autocommit {
        &self.primary
    }

    /// For writes of one statement that change nothing when they are done a second time. They take one round trip where a transaction
    /// takes three. Only from tasks that no client's hang-up ends, such as the writers of a [`crate::Coalescer`].
    pub fn repeatable(&self) -> &Autocommit {
        &self.repeatable
    }

    /// For several statements in a row.
    pub async fn connection(&self) -> Result<Taken, sqlx::Error> {
        let mut taken = self.connections.take().await?;
        if taken.was_kept() && !taken.is_alive().await {
            taken.replace().await?;
        }
        Ok(taken)
    }

    /// For what needs a connection for itself, and seldom.
    pub fn pool(&self) -> &PgPool {
        self.connections.pool()
    }

    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// For lists and searches: a replica that has everything that was committed before this call, else the primary. So a caller reads
    /// what they wrote, through whatever process, and no cache keeps something older than what it was told to forget.
    pub async fn reader(&self) -> &Autocommit {
        self.replicas.reader(&self.primary).await
    }

    /// Wakes the relay of this process's outbox after a commit that added events. PostgreSQL's NOTIFY would do so too, but takes a
    /// lock over all commits of the cluster (docs/adr/0007).
    pub fn relay_wakes(&self) -> &Arc<Notify> {
        &self.relay
    }

    /// Whether the primary answers.
    pub async fn ping(&self) -> bool {
        let question = sqlx::query("SELECT 1").execute(self.primary());
        matches!(timeout(PATIENCE, question).await, Ok(Ok(_)))
    }

    /// Writes the state of the pools to the metrics.
    pub fn record_metrics(&self) {
        let replicas = self.replicas.connections().map(|all| ("replica", all));
        for (name, connections) in std::iter::once(("primary", &self.connections)).chain(replicas) {
            let (pool, idle) = (connections.pool(), connections.idle() as f64);
            let all = f64::from(pool.size());
            metrics::gauge!("db_pool_connections", "pool" => name, "state" => "idle").set(idle);
            metrics::gauge!("db_pool_connections", "pool" => name, "state" => "used").set(all - idle);
            let max = f64::from(pool.options().get_max_connections());
            metrics::gauge!("db_pool_connections", "pool" => name, "state" => "max").set(max);
        }
    }

    /// Gives the connections back to the server.
    pub async fn close(&self) {
        self.connections.close().await;
        for replica in self.replicas.connections() {
            replica.close().await;
        }
    }
}

fn pool(
    settings: &DatabaseSettings,
    url: &SecretString,
    schema: &str,
) -> Result<Arc<Connections>, ConnectError> {
    // The options are the role's settings too (deploy/roles.sql): a pooler between us and the server drops them (docs/RUNBOOK.md).
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(ConnectError)?
        .application_name(&format!("sc-{schema}"))
        .statement_cache_capacity(settings.statement_cache)
        .options([
            ("search_path", format!("{schema},extensions,public").as_str()),
            ("idle_in_transaction_session_timeout", "10s"),
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
        ]);
    let pool = PgPoolOptions::new()
        // A transaction that somebody forgot would swallow what the next borrower writes. BEGIN first, as PostgreSQL warns of a
        // ROLLBACK without a transaction; in a failed one it is refused, and the connection is closed.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql("BEGIN; ROLLBACK")).await?;
                Ok(true)
            })
        })
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(Duration::from_secs(settings.acquire_timeout_seconds))
        .max_lifetime(Duration::from_mins(30))
        .idle_timeout(Duration::from_mins(5));
    Ok(Connections::of(pool.connect_lazy_with(options)))
}
