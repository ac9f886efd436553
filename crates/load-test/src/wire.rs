//! HTTP/1.1 over kept connections, as cheap as it goes: the generator shares its cores with what it measures.
//!
//! A request is bytes that the caller has ready. Of an answer only what ends it is read: status, length or chunks, and whether the
//! connection is kept.

mod answer;

use std::cell::RefCell;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

pub use answer::Answer;
use answer::Reader;

const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// All connections of a thread read into the same bytes: ten thousand buffers would be more memory than the product's.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// A kept connection with one request at a time.
pub struct Connection {
    stream: TcpStream,
    reader: Reader,
}

/// The address of the n-th user. Linux answers for all of 127.0.0.0/8, so that each user has one of their own, and a bucket of their
/// own for each address at the rate limits.
pub fn address_of(user: usize) -> Ipv4Addr {
    let part = |number: usize| u8::try_from(number % 250).unwrap_or_default();
    Ipv4Addr::new(
        127,
        100 + part(user / 62_500 % 100),
        part(user / 250),
        part(user) + 1,
    )
}

/// A stream to the gateway from a user's own address, where the gateway is on this machine.
pub async fn dial(gateway: SocketAddr, from: Ipv4Addr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if gateway.ip().is_loopback() {
        socket.bind((from, 0).into())?;
    }
    let stream = socket.connect(gateway).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection {
    pub async fn open(gateway: SocketAddr, from: Ipv4Addr) -> Result<Self> {
        Ok(Self {
            stream: dial(gateway, from).await?,
            reader: Reader::default(),
        })
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.answer(None).await
    }

    /// As [`Connection::exchange`], with the body.
    pub async fn exchange_whole(&mut self, request: &[u8]) -> Result<(Answer, Vec<u8>)> {
        self.stream.write_all(request).await?;
        let mut body = Vec::new();
        let answer = self.answer(Some(&mut body)).await?;
        Ok((answer, body))
    }

    async fn answer(&mut self, mut body: Option<&mut Vec<u8>>) -> Result<Answer> {
        let Self { stream, reader } = self;
        std::future::poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                loop {
                    let mut buffer = ReadBuf::new(scratch);
                    match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                        Poll::Ready(Ok(())) => {}
                    }
                    if buffer.filled().is_empty() {
                        return Poll::Ready(Err(Error::from(ErrorKind::UnexpectedEof)));
                    }
                    if let Some(answer) = reader.take(buffer.filled(), body.as_deref_mut())? {
                        return Poll::Ready(Ok(answer));
                    }
                }
            })
        })
        .await
    }

    /// Whether the server has closed it meanwhile, as it does with idle ones.
    pub fn is_closed(&self) -> bool {
        let mut byte = [0];
        match self.stream.try_read(&mut byte) {
            Err(fault) => fault.kind() != ErrorKind::WouldBlock,
            // Closed, or bytes that nobody asked for.
            Ok(_) => true,
        }
    }
}
