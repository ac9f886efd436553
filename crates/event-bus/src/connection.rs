//! Connections to the broker. lapin's own recovery stays off: a fresh connection, channel and topology is simpler to be sure of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::topology;

/// How to reach the broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusSettings {
    pub url: SecretString,
    /// Messages that one consumer holds at a time.
    #[serde(default = "default_prefetch")]
    pub prefetch: u16,
}

fn default_prefetch() -> u16 {
    256
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the broker's URL cannot be read: {0}")]
    Url(String),
    #[error("the broker refused")]
    Broker(#[from] lapin::Error),
    #[error("the broker did not answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker did not take a message")]
    NotTaken,
    #[error("the database could not be used")]
    Database(#[from] postgres::WriteError),
}

impl From<sqlx::Error> for BusError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Database(fault.into())
    }
}

/// Longer than a healthy broker takes for anything; a publish can hang for ever when the server closes cleanly (lapin #409).
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// lapin keeps 64 frames for each connection: 8 MiB with those of 128 KiB that the broker offers. Larger messages take several.
const FRAME_BYTES: u32 = 16 << 10;

/// A broker that hangs is noticed after two of them; RabbitMQ's own default is a minute.
const HEARTBEAT_SECONDS: u16 = 10;

/// A service's access to the broker.
#[derive(Debug, Clone)]
pub struct EventBus {
    settings: Arc<BusSettings>,
    service: &'static str,
    connected: Arc<AtomicBool>,
}

impl EventBus {
    pub fn new(settings: BusSettings, service: &'static str) -> Self {
        Self {
            settings: Arc::new(settings),
            service,
            connected: Arc::default(),
        }
    }

    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Whether the last that was heard of the broker was good.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn prefetch(&self) -> u16 {
        self.settings.prefetch
    }

    pub(crate) fn lost(&self) {
        self.connected.store(false, Ordering::Relaxed);
    }

    /// A new connection with one channel and the topology declared.
    pub(crate) async fn open(&self, purpose: &str) -> Result<Link, BusError> {
        let opened = self.try_open(purpose).await;
        self.connected.store(opened.is_ok(), Ordering::Relaxed);
        opened
    }

    async fn try_open(&self, purpose: &str) -> Result<Link, BusError> {
        let name = format!("{} {purpose}", self.service);
        let properties = ConnectionProperties::default().with_connection_name(name.as_str().into());
        let mut uri: AMQPUri = self.settings.url.expose_secret().parse().map_err(BusError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        let connecting = Connection::connect_uri(uri, properties);
        let connection = tokio::time::timeout(PATIENCE, connecting).await??;
        let channel = tokio::time::timeout(PATIENCE, connection.create_channel()).await??;
        tokio::time::timeout(PATIENCE, topology::declare(&channel, self.service)).await??;
        Ok(Link { connection, channel })
    }
}

/// A connection and its channel. Dropping it gives both up.
pub(crate) struct Link {
    connection: Connection,
    pub channel: Channel,
}

impl Link {
    pub fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    pub async fn close(self) {
        let closing = self.connection.close(200, "bye".into());
        if tokio::time::timeout(PATIENCE, closing).await.is_err() {
            tracing::debug!("the broker did not say goodbye");
        }
    }
}

/// Pauses between attempts to connect: 100 ms, doubling, at most 5 s.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    pub fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(100) * 2_u32.pow(self.failures.min(6));
        self.failures += 1;
        pause.min(Duration::from_secs(5))
    }
}
