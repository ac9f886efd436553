//! The composition root.

use std::sync::Arc;
use std::time::Duration;

use cache::Cache;
use clock::Clock;
use contracts::catalog::v1::catalog_service_server::CatalogServiceServer;
use postgres::{Database, PageTokens};
use rpc_client::RpcClient;
use service_runtime::{App, Migrator, Runtime};

use crate::caching::Caching;
use crate::config::Settings;
use crate::grpc::CatalogGrpc;
use crate::import::{self, ImportArguments};
use crate::learners::Learners;
use crate::personal_data::PERSONAL_DATA;
use crate::{consumers, demo, jobs};

/// What the use cases work with.
pub struct Catalog {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub caching: Caching,
    pub auth: RpcClient,
    pub learners: Learners,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the demo courses (never in production); those that are there stay.
    SeedDemo,
    /// Load courses from files: JSON Lines, CSV, or JSON of other catalogues.
    Import(ImportArguments),
}

impl Catalog {
    pub fn new(runtime: &mut Runtime, settings: &Settings) -> Self {
        let ttl = Duration::from_secs(settings.caching.ttl_seconds);
        Self {
            db: runtime.database().clone(),
            clock: runtime.clock(),
            pages: runtime.page_tokens(),
            caching: Caching::new(Cache::new(runtime.redis().clone()), ttl),
            auth: runtime.rpc("auth"),
            learners: Learners::new(runtime.rpc("enrollment")),
        }
    }
}

impl App for Catalog {
    const NAME: &'static str = "catalog";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = Command;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/catalog"))
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let app = Arc::new(Self::new(runtime, &settings));
        runtime.schedule([jobs::warm_up(&app)?]);
        runtime.relay_outbox();
        runtime.consume(consumers::users(&app));
        runtime.consume(consumers::video_metadata(&app));
        personal_data::serve(runtime, PERSONAL_DATA);
        runtime.grpc(|routes| {
            routes.add_service(CatalogServiceServer::new(CatalogGrpc::new(app)));
        });
        Ok(())
    }

    async fn command(runtime: &mut Runtime, settings: Settings, command: Command) -> anyhow::Result<()> {
        let app = Self::new(runtime, &settings);
        match command {
            Command::SeedDemo => {
                service_runtime::demo::refuse_in_production(runtime.env())?;
                demo::seed(&app).await
            }
            Command::Import(arguments) => import::run(&app, &arguments).await,
        }
    }
}
