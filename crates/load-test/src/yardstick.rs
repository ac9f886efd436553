//! A bare axum server beside the generator: what this machine can do at this moment, without a product. A machine's speed drifts;
//! figures of two runs are compared over this one.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::wire::{Connection, address_of};

const CONNECTIONS: usize = 64;
const MEASURED: Duration = Duration::from_secs(2);
/// Of an answer: about a page of courses, compressed.
const BODY_BYTES: usize = 2_048;

/// A process that answers. Dropping it ends it.
pub struct Yardstick {
    address: SocketAddr,
    _server: Child,
}

impl Yardstick {
    pub async fn start() -> Result<Self> {
        let mut server = Command::new(std::env::current_exe()?)
            .arg("yardstick")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = server.stdout.take().context("no output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        Ok(Self {
            address: line.context("it ended")?.trim().parse()?,
            _server: server,
        })
    }

    /// Answers a second to this generator on one thread.
    pub async fn measure(&self) -> Result<f64> {
        let address = self.address;
        let measured = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(saturate(address))
        });
        measured.await?
    }
}

async fn saturate(address: SocketAddr) -> Result<f64> {
    let end = Instant::now() + MEASURED;
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        connections.spawn(async move {
            let mut connection = Connection::open(address, address_of(number)).await?;
            let mut answers = 0_u64;
            while Instant::now() < end {
                connection
                    .exchange(b"GET /yardstick HTTP/1.1\r\nhost: sc\r\n\r\n")
                    .await?;
                answers += 1;
            }
            Ok::<_, anyhow::Error>(answers)
        });
    }
    let mut answers = 0;
    while let Some(one) = connections.join_next().await {
        answers += one??;
    }
    Ok(answers as f64 / MEASURED.as_secs_f64())
}

/// The server: says where it listens, and answers until it is ended.
#[expect(clippy::print_stdout, reason = "its parent reads where it listens")]
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?);
        let body: &'static str = Box::leak("x".repeat(BODY_BYTES).into_boxed_str());
        let routes = Router::new().route("/yardstick", get(move || async move { body }));
        let (mut input, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
        tokio::select! {
            served = axum::serve(listener, routes) => served?,
            // Its parent is gone, however that ended.
            _ = tokio::io::copy(&mut input, &mut nowhere) => {}
        }
        Ok(())
    })
}
