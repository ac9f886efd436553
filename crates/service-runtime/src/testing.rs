//! The real process inside a test: on free ports, with given settings and clock, without signals or global logging.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clock::Clock;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::configuration::load;
use crate::serve::{Listeners, serve};
use crate::{App, Runtime};

/// A process that runs in this one.
pub struct Running {
    pub grpc: Option<SocketAddr>,
    pub admin: SocketAddr,
    stopping: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Running {
    /// Stops it as a signal would, and waits.
    pub async fn stop(self) -> Result<()> {
        self.stopping.cancel();
        self.task.await.context("the process died")?
    }
}

/// Applies the migrations and starts the process. `overrides` are environment variables such as `("SC_DATABASE__URL", ...)`.
pub async fn start<A: App>(overrides: &[(&str, &str)], clock: Clock) -> Result<Running> {
    let environment = overrides
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = load::<A::Settings>(A::DEFAULTS, None, environment)?;
    if let Some(migrator) = A::migrator() {
        use secrecy::ExposeSecret;
        let mut connection = PgConnection::connect(loaded.runtime.database.url.expose_secret()).await?;
        postgres::migrate(&mut connection, A::NAME, Some(migrator)).await?;
        connection.close().await?;
    }
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = Listeners::bind(A::migrator().map(|_| local), local).await?;
    let grpc = listeners
        .grpc
        .as_ref()
        .map(tokio::net::TcpListener::local_addr)
        .transpose()?;
    let admin = listeners.admin.local_addr()?;
    let mut runtime = Runtime::new(A::NAME, loaded.runtime, clock, A::migrator().is_some())?;
    let stopping = runtime.stopping.clone();
    A::start(&mut runtime, loaded.app).await?;
    let task = tokio::spawn(serve(runtime, listeners, CancellationToken::new()));
    Ok(Running {
        grpc,
        admin,
        stopping,
        task,
    })
}
