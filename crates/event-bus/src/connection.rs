//! Connections to the broker. lapin's own recovery stays off: a fresh connection, channel and topology is simpler to be sure of.
//!
//! All consumers of a process share one connection, each with a channel of its own: a connection has a thread, and with it buffers and
//! a heap. The outbox has another one, and so have tasks, which are put back by publishing: a broker that is short of memory stops to read
//! from connections that publish.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

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
    64
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
    consuming: Arc<Shared>,
    publishing: Arc<Shared>,
    working: Arc<Shared>,
}

/// The connection that is handed to who opens a link.
#[derive(Debug, Default)]
struct Shared(Mutex<Weak<Connection>>);

impl Shared {
    /// The present one, while it is open, or one that is opened now: by one, for whom the others wait.
    async fn get(
        &self,
        open: impl Future<Output = Result<Connection, BusError>>,
    ) -> Result<Arc<Connection>, BusError> {
        let mut present = self.0.lock().await;
        if let Some(connection) = present.upgrade().filter(|one| one.status().connected()) {
            return Ok(connection);
        }
        let fresh = Arc::new(open.await?);
        *present = Arc::downgrade(&fresh);
        Ok(fresh)
    }

    /// Nobody is given this one any more; who has it keeps it.
    fn forget(&self, failed: &Arc<Connection>) {
        // Held, another one is just opened.
        if let Ok(mut present) = self.0.try_lock()
            && present.ptr_eq(&Arc::downgrade(failed))
        {
            *present = Weak::new();
        }
    }
}

impl EventBus {
    pub fn new(settings: BusSettings, service: &'static str) -> Self {
        Self {
            settings: Arc::new(settings),
            service,
            connected: Arc::default(),
            consuming: Arc::default(),
            publishing: Arc::default(),
            working: Arc::default(),
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

    /// A channel to consume on.
    pub(crate) async fn consuming(&self) -> Result<Link, BusError> {
        self.open(&self.consuming, "consuming").await
    }

    /// A channel to publish on.
    pub(crate) async fn publishing(&self) -> Result<Link, BusError> {
        self.open(&self.publishing, "publishing").await
    }

    /// The same, on which each message is confirmed.
    pub(crate) async fn confirming(&self) -> Result<Link, BusError> {
        let link = self.publishing().await?;
        let confirming = link.channel.confirm_select(ConfirmSelectOptions::default());
        tokio::time::timeout(PATIENCE, confirming).await??;
        Ok(link)
    }

    /// A channel to take tasks from, and to put them back on.
    pub(crate) async fn working(&self) -> Result<Link, BusError> {
        self.open(&self.working, "tasks").await
    }

    async fn open(&self, shared: &Arc<Shared>, purpose: &str) -> Result<Link, BusError> {
        let opened = self.try_open(shared, purpose).await;
        self.connected.store(opened.is_ok(), Ordering::Relaxed);
        opened
    }

    async fn try_open(&self, shared: &Arc<Shared>, purpose: &str) -> Result<Link, BusError> {
        let connection = shared.get(self.connect(purpose)).await?;
        let creating =
            async { Ok::<_, BusError>(tokio::time::timeout(PATIENCE, connection.create_channel()).await??) };
        let channel = creating.await.inspect_err(|_| shared.forget(&connection))?;
        Ok(Link {
            connection: Some(connection),
            shared: Arc::clone(shared),
            channel,
        })
    }

    /// A new connection, on which the topology was declared.
    async fn connect(&self, purpose: &str) -> Result<Connection, BusError> {
        let name = format!("{} {purpose}", self.service);
        let properties = ConnectionProperties::default().with_connection_name(name.as_str().into());
        let mut uri: AMQPUri = self.settings.url.expose_secret().parse().map_err(BusError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        let connecting = Connection::connect_uri(uri, properties);
        let connection = tokio::time::timeout(PATIENCE, connecting).await??;
        let channel = tokio::time::timeout(PATIENCE, connection.create_channel()).await??;
        tokio::time::timeout(PATIENCE, topology::declare(&channel, self.service)).await??;
        let closing = channel.close(200, "declared".into());
        tokio::time::timeout(PATIENCE, closing).await??;
        Ok(connection)
    }
}

/// A channel. Dropped, it is taken for one that failed: the next one has another connection.
pub(crate) struct Link {
    connection: Option<Arc<Connection>>,
    shared: Arc<Shared>,
    pub channel: Channel,
}

impl Link {
    pub fn is_open(&self) -> bool {
        self.channel.status().connected()
            && (self.connection.as_ref()).is_some_and(|connection| connection.status().connected())
    }

    pub async fn close(mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let closing = async {
            let _ = self.channel.close(200, "bye".into()).await;
            // The last one closes the connection as well.
            if let Some(connection) = Arc::into_inner(connection) {
                let _ = connection.close(200, "bye".into()).await;
            }
        };
        if tokio::time::timeout(PATIENCE, closing).await.is_err() {
            tracing::debug!("the broker did not say goodbye");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.forget(&connection);
        }
    }
}

/// Publishes a message on a confirming channel, and is done when a queue has it.
pub(crate) async fn hand_over(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
    payload: &[u8],
) -> Result<(), BusError> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let publishing = async {
        let confirm = channel.basic_publish(exchange.into(), key.into(), options, payload, properties);
        confirm.await?.await
    };
    match tokio::time::timeout(PATIENCE, publishing).await?? {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(BusError::NotTaken),
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
