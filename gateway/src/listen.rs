//! The accept loop. Our own, as `axum::serve` gives hyper no timer, and without one a client can send its head for ever.

mod connection;
mod first_head;
mod heads;
mod linger;
mod parked;
mod untaken;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dashmap::DashMap;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::counted_as;
use crate::config::HttpSettings;
use crate::stack::Edge;
use crate::tls;
use connection::{Connection, Terms};

const KEEPALIVE: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 128;
const MAX_HEADER_BYTES: u32 = 32 << 10;
const MAX_BUFFER: usize = 64 << 10;
/// Streams that a client may open and reset before it is cut off (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: SocketAddr,
    pub is_tls: bool,
}

pub struct Listener {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    terms: Arc<Terms>,
    places: Arc<Semaphore>,
    per_ip: PerIp,
}

impl Listener {
    pub async fn bind(settings: &HttpSettings) -> Result<Self> {
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let keep_alive = Duration::from_secs(settings.keep_alive_seconds);
        let terms = Terms {
            first: first(keep_alive),
            next: next(),
            keep_alive,
            header_timeout: Duration::from_secs(settings.header_timeout_seconds),
            write_timeout: Duration::from_secs(settings.write_timeout_seconds),
        };
        Ok(Self {
            listener,
            tls: tls::acceptor(settings)?,
            terms: Arc::new(terms),
            places: Arc::new(Semaphore::new(settings.max_connections)),
            per_ip: PerIp {
                open: Arc::default(),
                max: settings.max_connections_per_ip,
                trusted: settings.trusted_proxies().into(),
            },
        })
    }

    /// Where it listens; the system chooses the port when the settings say 0.
    #[cfg(test)]
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets what is under way finish.
    pub async fn serve(self, edge: Edge, stop: CancellationToken) -> Result<()> {
        let open = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.connection(stream, address, &edge, &stop, &open),
                Err(fault) => {
                    // Out of file descriptors, most often: a pause lets some go.
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        "a connection was not accepted"
                    );
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        open.close();
        open.wait().await;
        Ok(())
    }

    fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        edge: &Edge,
        stop: &CancellationToken,
        open: &TaskTracker,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            metrics::counter!("connections_refused_total", "why" => "full").increment(1);
            return;
        };
        let Some(of_ip) = self.per_ip.enter(address.ip()) else {
            metrics::counter!("connections_refused_total", "why" => "address").increment(1);
            return;
        };
        let held = Held {
            _place: place,
            _of_ip: of_ip,
            _counted: Counted::new(),
        };
        let _ = stream.set_nodelay(true);
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream
            .as_mut()
            .set_write_timeout_pinned(Some(self.terms.write_timeout));
        let connection = Connection {
            terms: Arc::clone(&self.terms),
            edge: edge.clone(),
            stop: stop.clone(),
            held,
        };
        match self.tls.clone() {
            None => {
                let peer = Peer {
                    address,
                    is_tls: false,
                };
                open.spawn(connection.serve(stream, peer));
            }
            Some(tls) => {
                let peer = Peer {
                    address,
                    is_tls: true,
                };
                open.spawn(async move {
                    // Boxed, as it is soon over and the connection is not.
                    let handshake = Box::pin(tls.accept(stream));
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await {
                        connection.serve(stream, peer).await;
                    }
                });
            }
        }
    }
}

/// Whatever the client speaks.
fn first(keep_alive: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(keep_alive)
        .max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS);
    builder
}

/// After a request in HTTP/1. How long it may rest and take for a head is seen to outside.
fn next() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(MAX_BUFFER);
    builder
}

/// The places that a connection takes while it lives.
pub struct Held {
    _place: OwnedSemaphorePermit,
    _of_ip: OfIp,
    _counted: Counted,
}

/// An open connection in the metrics.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("http_connections").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("http_connections").decrement(1.0);
    }
}

/// Open connections of each address. A trusted proxy may have any number, as they are those of its clients.
#[derive(Clone)]
struct PerIp {
    open: Arc<DashMap<IpAddr, usize>>,
    max: usize,
    trusted: Arc<[IpNet]>,
}

struct OfIp {
    open: Arc<DashMap<IpAddr, usize>>,
    ip: IpAddr,
}

impl PerIp {
    /// `None` when the address has as many as it may.
    fn enter(&self, ip: IpAddr) -> Option<OfIp> {
        let ip = ip.to_canonical();
        let is_trusted = self.trusted.iter().any(|range| range.contains(&ip));
        let ip = counted_as(ip);
        let mut count = self.open.entry(ip).or_insert(0);
        if *count >= self.max && !is_trusted {
            return None;
        }
        *count += 1;
        Some(OfIp {
            open: Arc::clone(&self.open),
            ip,
        })
    }
}

impl Drop for OfIp {
    fn drop(&mut self) {
        self.open.remove_if_mut(&self.ip, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}
