use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::PeerTls;

/// A peer has this long to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// At a time; whoever cannot show a certificate must not fill the memory.
const MAX_HANDSHAKES: usize = 256;

/// The connections of peers that have shown a certificate of our authority. The listener closes when the stream is dropped.
pub fn incoming(listener: TcpListener, tls: PeerTls) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (ready, connections) = mpsc::channel(1);
    tokio::spawn(accept(listener, tls, ready));
    ReceiverStream::new(connections)
}

async fn accept(listener: TcpListener, tls: PeerTls, ready: mpsc::Sender<io::Result<TlsStream<TcpStream>>>) {
    let places = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            () = ready.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(fault) => {
                // Out of file descriptors, most often: a pause lets some go.
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "a connection was not accepted"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            refused(peer, "too many handshakes at a time");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (tls, ready) = (TlsAcceptor::from(tls.server()), ready.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    drop(place);
                    let _ = ready.send(Ok(stream)).await;
                }
                Ok(Err(fault)) => refused(peer, &fault.to_string()),
                Err(_) => refused(peer, "the handshake took too long"),
            }
        });
    }
}

fn refused(peer: SocketAddr, why: &str) {
    metrics::counter!("peer_tls_refused_total").increment(1);
    tracing::warn!(%peer, why, "a peer was refused");
}
