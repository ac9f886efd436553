//! Mutual TLS between our processes (TLS 1.3): one certificate for both directions, read again when its files change.

mod connect;
mod files;
mod incoming;

pub use connect::PeerConnector;
pub use files::{Fault, TlsFiles};
pub use incoming::incoming;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};
use tokio_util::sync::CancellationToken;

use files::{Content, Made};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(5);

/// This process's certificate and the authority of its peers. Cheap to clone; all clones follow the files.
#[derive(Clone)]
pub struct PeerTls {
    inner: Arc<Inner>,
}

struct Inner {
    files: TlsFiles,
    current: ArcSwap<Current>,
}

struct Current {
    content: Content,
    made: Made,
}

impl PeerTls {
    /// Reads the files; all that is wrong with them is told at once.
    pub fn read(files: TlsFiles) -> Result<Self, Vec<Fault>> {
        let content = files.read()?;
        let made = content.make()?;
        Ok(Self {
            inner: Arc::new(Inner {
                files,
                current: ArcSwap::from_pointee(Current { content, made }),
            }),
        })
    }

    /// Takes over what the files hold now; true when it differs from before. Connections that are open stay as they are.
    pub fn reload(&self) -> Result<bool, Vec<Fault>> {
        let content = self.inner.files.read()?;
        if content == self.inner.current.load().content {
            return Ok(false);
        }
        let made = content.make()?;
        self.inner.current.store(Arc::new(Current { content, made }));
        Ok(true)
    }

    /// Follows the files until `shutdown`. What cannot be used, such as a new certificate beside an old key, changes nothing.
    pub async fn follow(self, shutdown: CancellationToken) {
        let mut is_faulty = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            let tls = self.clone();
            // Three small files, but a network file system may be slow.
            let Ok(outcome) = tokio::task::spawn_blocking(move || tls.reload()).await else {
                continue;
            };
            match outcome {
                Ok(true) => tracing::info!("the certificate files have changed and are in use"),
                Ok(false) => {}
                Err(faults) if !is_faulty => {
                    for Fault { file, what } in &faults {
                        tracing::error!(
                            file,
                            what,
                            "the certificate files cannot be used; going on with those read before"
                        );
                    }
                    is_faulty = true;
                    metrics::gauge!("peer_tls_files_faulty").set(1.0);
                    continue;
                }
                Err(_) => continue,
            }
            if std::mem::take(&mut is_faulty) {
                metrics::gauge!("peer_tls_files_faulty").set(0.0);
            }
        }
    }

    fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.inner.current.load().made.server)
    }

    fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.inner.current.load().made.client)
    }
}
