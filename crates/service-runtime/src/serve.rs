//! The life of a process: start, serve, drain, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cache::Redis;
use event_bus::{BusError, DeadLetters, EventBus};
use postgres::Database;
use rpc_client::RpcClient;
use scheduler::Scheduler;
use sqlx::Connection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Layer;

use crate::admin::{self, Health};
use crate::app::App;
use crate::exchange::Exchange;
use crate::grpc_stack::StackLayer;
use crate::idempotency::IdempotencyKeys;
use crate::{Runtime, jobs, revocation};

const KEEPALIVE: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 1_024;
/// With TLS a connection lives no longer, so that a certificate that is believed no more ends as well.
const TLS_CONNECTION_AGE: Duration = Duration::from_hours(1);
const POOL_METRICS: Duration = Duration::from_secs(10);
const DEAD_LETTER_METRICS: Duration = Duration::from_secs(30);
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// Larger than all that the allocator keeps at hand.
const LARGE_BLOCK: usize = 16 << 20;
/// For background work, after the servers have drained.
const BACKGROUND_STOP: Duration = Duration::from_secs(10);

/// The listeners of a process, bound before anything else so that a taken port is told at once.
pub(crate) struct Listeners {
    pub grpc: Option<TcpListener>,
    pub admin: TcpListener,
}

impl Listeners {
    pub async fn bind(grpc: Option<SocketAddr>, admin: SocketAddr) -> Result<Self> {
        let bind = async |address| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))
        };
        Ok(Self {
            grpc: match grpc {
                Some(address) => Some(bind(address).await?),
                None => None,
            },
            admin: bind(admin).await?,
        })
    }
}

/// Refuses to start on a schema that is behind.
pub(crate) async fn check_migrations<A: App>(runtime: &Runtime) -> Result<()> {
    let Some(database) = &runtime.database else {
        return Ok(());
    };
    let mut connection = database
        .pool()
        .acquire()
        .await
        .context("the database is not reachable")?;
    connection.ping().await?;
    let pending = postgres::pending(&mut connection, A::NAME, A::migrator()).await?;
    ensure!(
        pending == 0,
        "{pending} migration(s) are not applied: run `{} migrate` first",
        A::NAME
    );
    Ok(())
}

/// Serves until `stopping` is cancelled, then drains; `hard` ends at once.
pub(crate) async fn serve(mut runtime: Runtime, listeners: Listeners, hard: CancellationToken) -> Result<()> {
    let (stopping, background) = (runtime.stopping.clone(), runtime.background.clone());
    let closing = CancellationToken::new();
    start_background(&mut runtime)?;
    let health = Health::new(
        runtime.database.clone(),
        runtime.redis.clone(),
        Some(runtime.bus.clone()),
        stopping.clone(),
    );
    let admin = admin::health_routes(health)
        .merge(admin::metrics_routes())
        .merge(std::mem::take(&mut runtime.admin));
    let admin_server = tokio::spawn(async move { axum::serve(listeners.admin, admin).await });

    let mut servers = tokio::task::JoinSet::new();
    if let Some(server) = runtime.http_server.take() {
        servers.spawn(server(closing.clone()));
    }
    if runtime.serves_grpc
        && let Some(listener) = listeners.grpc
    {
        servers.spawn(grpc_server(&mut runtime, listener, closing.clone()));
    }
    tracing::info!("serving");
    tokio::select! {
        () = stopping.cancelled() => {}
        Some(ended) = servers.join_next() => {
            ended.context("a server died")??;
            anyhow::bail!("a server ended by itself");
        }
    }
    let shutdown = runtime.settings.shutdown;
    let drained = async {
        tokio::time::sleep(Duration::from_secs(shutdown.grace_seconds)).await;
        closing.cancel();
        let drain = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(shutdown.drain_seconds), drain)
            .await
            .is_err()
        {
            tracing::warn!("some requests were still under way");
        }
        background.cancel();
        runtime.tasks.close();
        if tokio::time::timeout(BACKGROUND_STOP, runtime.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some background work did not end in time");
        }
    };
    tokio::select! {
        () = drained => {}
        () = hard.cancelled() => tracing::warn!("stopped at once"),
    }
    servers.abort_all();
    admin_server.abort();
    if let Some(database) = &runtime.database {
        let _ = tokio::time::timeout(Duration::from_secs(2), database.close()).await;
    }
    tracing::info!("stopped");
    Ok(())
}

fn start_background(runtime: &mut Runtime) -> Result<()> {
    let shutdown = runtime.background.clone();
    if runtime.polls_revocations {
        let (auth, revocations, clock) = (runtime.rpc("auth"), runtime.revocations(), runtime.clock());
        let mirror = runtime.redis().clone();
        runtime.spawn(
            "revocations",
            revocation::poll(auth, mirror, revocations, clock, shutdown.clone()),
        );
    }
    let keys = revocation::follow_keys(runtime.verifier(), shutdown.clone());
    runtime.spawn("verification-keys", keys);
    if let Some(tls) = runtime.tls.clone() {
        runtime.spawn("certificate-files", tls.follow(shutdown.clone()));
    }
    let (bus, revocations, stop) = (runtime.bus.clone(), runtime.revocations(), shutdown.clone());
    runtime.spawn("revocation-events", async move {
        bus.listen(stop, |event| {
            revocation::from_event(event)
                .into_iter()
                .for_each(|entry| revocations.apply(entry));
        })
        .await;
    });
    runtime.spawn("metrics-upkeep", keep_metrics(shutdown.clone()));
    let (clients, redis) = (runtime.rpc_clients(), runtime.redis().clone());
    runtime.spawn(
        "circuit-metrics",
        record_circuits(clients, redis, shutdown.clone()),
    );
    if let Some(database) = runtime.database.clone() {
        let mut all = std::mem::take(&mut runtime.jobs);
        all.push(jobs::forget(&database)?);
        all.push(jobs::vacuum(&database)?);
        let scheduler = Scheduler::new(database.clone(), all, &runtime.instance, Default::default())?;
        runtime.spawn("scheduler", scheduler.run(shutdown.clone()));
        let dead = record_dead_letters(runtime.bus.clone(), runtime.name, shutdown.clone());
        runtime.spawn("dead-letter-metrics", dead);
        runtime.spawn("pool-metrics", record_pools(database, shutdown));
    }
    Ok(())
}

async fn keep_metrics(shutdown: CancellationToken) {
    let mut period = tokio::time::interval(METRICS_UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = period.tick() => {
                telemetry::upkeep();
                give_memory_back();
            }
        }
    }
}

/// The allocator returns what has been free for a while when somebody frees a large block, and after a burst nobody would: auth kept what
/// its last hashes took. A block that nobody writes to takes nothing.
fn give_memory_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BLOCK)));
}

async fn record_circuits(clients: Vec<RpcClient>, redis: Redis, shutdown: CancellationToken) {
    let mut period = tokio::time::interval(POOL_METRICS);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = period.tick() => {}
        }
        clients.iter().for_each(RpcClient::record_metrics);
        redis.record_metrics();
    }
}

/// Those of this process's own queues. While the broker is away the last counts stand.
async fn record_dead_letters(bus: EventBus, service: &'static str, shutdown: CancellationToken) {
    let mut period = tokio::time::interval(DEAD_LETTER_METRICS);
    let mut letters = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = period.tick() => {}
        }
        let counted = async {
            let open = match letters.take() {
                Some(open) => open,
                None => DeadLetters::open(&bus).await?,
            };
            open.record_metrics(service).await?;
            Ok::<_, BusError>(open)
        };
        match counted.await {
            Ok(open) => letters = Some(open),
            Err(fault) => tracing::debug!(
                error = &fault as &dyn std::error::Error,
                "dead letters were not counted"
            ),
        }
    }
    if let Some(open) = letters {
        open.close().await;
    }
}

async fn record_pools(database: Database, shutdown: CancellationToken) {
    let mut period = tokio::time::interval(POOL_METRICS);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = period.tick() => database.record_metrics(),
        }
    }
}

fn grpc_server(
    runtime: &mut Runtime,
    listener: TcpListener,
    closing: CancellationToken,
) -> impl Future<Output = Result<()>> + use<> {
    let keys = runtime
        .database
        .clone()
        .map(|database| Arc::new(IdempotencyKeys::new(database)));
    let stack = StackLayer {
        verifier: runtime.verifier(),
        keys,
    };
    let routes = std::mem::take(&mut runtime.routes).routes();
    let calls = Exchange::new(stack.layer(routes.clone()), closing.clone());
    let routes = routes.add_service(calls).prepare();
    let tls = runtime.tls.clone();
    async move {
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .max_concurrent_streams(MAX_STREAMS)
            .initial_connection_window_size(4 << 20)
            .initial_stream_window_size(1 << 20)
            .layer(stack);
        let stop = closing.cancelled_owned();
        let ended = if let Some(tls) = tls {
            let mut server = server.max_connection_age(TLS_CONNECTION_AGE);
            let server = server.add_routes(routes);
            server
                .serve_with_incoming_shutdown(peer_tls::incoming(listener, tls), stop)
                .await
        } else {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            server
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, stop)
                .await
        };
        ended.context("the gRPC server failed")
    }
}
