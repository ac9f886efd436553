//! Connections that rest between two requests. hyper keeps some 17 KiB of buffers for each: with ten thousand students who think for
//! seconds that is most of the gateway's memory, and none of it is in a cache when the next request comes. So hyper is lent the stream for
//! a request, and what rests is the stream alone (docs/adr/0032).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::server::TlsStream;

/// A stream that can wait for its client without a buffer.
pub trait Readable: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Readable for Pin<Box<TimeoutStream<TcpStream>>> {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_ref().poll_read_ready(context)
    }
}

impl<S: Readable> Readable for TlsStream<S> {
    /// What it has deciphered already is taken before it rests.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_ref().0.poll_readable(context)
    }
}

/// Where a stream comes back to.
pub struct Home<S>(Arc<Mutex<Option<S>>>);

impl<S> Default for Home<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Home<S> {
    /// `None` while somebody has it, such as a WebSocket.
    pub fn take(&self) -> Option<S> {
        self.0.lock().take()
    }

    /// It comes back when it is dropped.
    pub fn lend(&self, stream: S) -> Lent<S> {
        Lent {
            stream: Some(stream),
            home: Self(Arc::clone(&self.0)),
        }
    }
}

pub struct Lent<S> {
    stream: Option<S>,
    home: Home<S>,
}

impl<S> Lent<S> {
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut S>>
    where
        S: Unpin,
    {
        let stream = self.get_mut().stream.as_mut();
        stream
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S> Unpin for Lent<S> {}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        *self.home.0.lock() = self.stream.take();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
