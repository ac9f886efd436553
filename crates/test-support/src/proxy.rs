//! A TCP proxy between the program and a server, to cut or to freeze what goes through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// A proxy in front of one server. Everything is cut when it is dropped.
#[derive(Debug)]
pub struct TestProxy {
    address: SocketAddr,
    /// Connections live while their number is the newest.
    generation: watch::Sender<u64>,
    frozen: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl TestProxy {
    /// In front of the host and port of a URL.
    pub async fn before(url: &str, default_port: u16) -> Self {
        let url: Url = url.parse().unwrap();
        let server = format!(
            "{}:{}",
            url.host_str().unwrap(),
            url.port().unwrap_or(default_port)
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (generation, frozen) = (watch::Sender::new(0), watch::Sender::new(false));
        let stopped = watch::Sender::new(false);
        let (cuts, freezes, stops) = (generation.clone(), frozen.clone(), stopped.clone());
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                if *stops.borrow() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&server).await else {
                    continue;
                };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                for (from, to) in [(from_client, to_server), (from_server, to_client)] {
                    let (mut cut, freeze) = (cuts.subscribe(), freezes.subscribe());
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = cut.changed() => {}
                            () = copy(from, to, freeze) => {}
                        }
                    });
                }
            }
        });
        Self {
            address,
            generation,
            frozen,
            stopped,
            accepted,
            accepting,
        }
    }

    /// The URL with the proxy's host and port instead of the server's.
    pub fn url(&self, url: &str) -> String {
        let mut url: Url = url.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// How many connections it has taken so far.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Cuts what is connected; new connections are taken.
    pub fn cut(&self) {
        self.generation.send_modify(|number| *number += 1);
    }

    /// Cuts what is connected and refuses new connections, as a server that is away.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
        self.cut();
    }

    /// The server is there again.
    pub fn start(&self) {
        self.stopped.send_replace(false);
    }

    /// Nothing goes through, but connections stay open and are taken, as with a server that hangs.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut frozen: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if frozen.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}
