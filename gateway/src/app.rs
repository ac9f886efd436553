//! The composition root.

use std::sync::Arc;
use std::time::Duration;

use ::live::{Feed, Tickets};
use access_token::Verifier;
use axum::Router;
use clock::Clock;
use rate_limit::RateLimiter;
use rpc_client::RpcClient;
use service_runtime::Migrator;
use service_runtime::admin::{Health, health_routes, metrics_routes};
use service_runtime::{App, NoCommand, Runtime};
use tokio_util::sync::CancellationToken;

use crate::config::{HttpSettings, RateSettings, Settings};
use crate::health::Watch;
use crate::listen::Listener;
use crate::live::hub::Hub;
use crate::live::{self, Live};
use crate::rest::Rpcs;
use crate::rest::shared::SharedAnswers;
use crate::shedding::Shedding;
use crate::stack::Edge;
use crate::{pages, stack};

/// What requests are served with.
pub struct Gateway {
    pub verifier: Arc<Verifier>,
    pub limiter: RateLimiter,
    pub rates: RateSettings,
    pub clients: Clients,
    pub shared: SharedAnswers,
    pub shedding: Shedding,
    /// For the body of a request to arrive.
    pub body_timeout: Duration,
    pub live: Live,
}

/// The services behind the gateway.
#[derive(Clone)]
pub struct Clients {
    pub auth: RpcClient,
    pub catalog: RpcClient,
    pub enrollment: RpcClient,
    pub notification: RpcClient,
    pub video_progress: RpcClient,
    pub exam: RpcClient,
    pub reporting: RpcClient,
}

impl Clients {
    /// The client of the process that serves an RPC.
    pub fn of(&self, service: &str) -> Option<&RpcClient> {
        match service {
            "auth" => Some(&self.auth),
            "catalog" => Some(&self.catalog),
            "enrollment" => Some(&self.enrollment),
            "notification" => Some(&self.notification),
            "video_progress" => Some(&self.video_progress),
            "exam" => Some(&self.exam),
            "reporting" => Some(&self.reporting),
            _ => None,
        }
    }
}

impl App for Gateway {
    const NAME: &'static str = "gateway";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrator() -> Option<Migrator> {
        None
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let hub = Hub::new(
            &settings.live,
            runtime.clock(),
            runtime.revocations(),
            runtime.rpc("notification"),
        );
        let feed = Feed::new(&runtime.settings().redis, runtime.clock())?;
        runtime.spawn("live-feed", Arc::clone(&hub).follow(feed, runtime.shutdown()));
        runtime.spawn("live-sockets", Arc::clone(&hub).watch(runtime.shutdown()));
        let limiter = RateLimiter::new(runtime.redis().clone());
        runtime.spawn("limits", limiter.clone().keep_settled(runtime.shutdown()));
        let shedding = Shedding::new(settings.http.max_in_flight);
        runtime.spawn("shedding", shedding.clone().watch(runtime.shutdown()));
        let gateway = Arc::new(Self {
            verifier: runtime.verifier(),
            limiter,
            rates: settings.ratelimit,
            clients: Clients {
                auth: runtime.rpc("auth"),
                catalog: runtime.rpc("catalog"),
                enrollment: runtime.rpc("enrollment"),
                notification: runtime.rpc("notification"),
                video_progress: runtime.rpc("video_progress"),
                exam: runtime.rpc("exam"),
                reporting: runtime.rpc("reporting"),
            },
            shared: SharedAnswers::new(),
            shedding,
            body_timeout: Duration::from_secs(settings.http.body_timeout_seconds),
            live: Live {
                hub: Arc::clone(&hub),
                tickets: Tickets::new(runtime.redis().clone()),
                origins: settings.http.cors_origins.clone(),
            },
        });
        let watch = Watch::default();
        runtime.spawn(
            "health",
            watch.clone().run(gateway.clients.clone(), runtime.shutdown()),
        );
        let health = Health::new(
            None,
            runtime.redis().clone(),
            Some(runtime.bus().clone()),
            runtime.stopping(),
        );
        let router = router(&gateway, watch.add_to(health), &settings.http, runtime.clock());
        let listener = Listener::bind(&settings.http).await?;
        runtime.serve(move |stop| serve(listener, router, hub, stop));
        Ok(())
    }
}

/// Serves until `stop`, then lets requests finish and closes the sockets.
pub async fn serve(
    listener: Listener,
    edge: Edge,
    hub: Arc<Hub>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let sockets = async {
        stop.cancelled().await;
        hub.close().await;
        Ok(())
    };
    tokio::try_join!(listener.serve(edge, stop.clone()), sockets)?;
    Ok(())
}

/// All routes in their stack.
pub fn router(gateway: &Arc<Gateway>, health: Health, settings: &HttpSettings, clock: Clock) -> Edge {
    let mut router = Router::new()
        .merge(live::routes(gateway))
        .merge(pages::routes())
        .merge(health_routes(health));
    if settings.public_metrics {
        router = router.merge(metrics_routes());
    }
    stack::around(router, settings, clock).with_rpcs(Rpcs::of(gateway))
}
