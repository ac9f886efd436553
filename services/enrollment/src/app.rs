//! The composition root.

use std::sync::Arc;

use clock::Clock;
use contracts::enrollment::v1::enrollment_service_server::EnrollmentServiceServer;
use postgres::{Database, PageTokens};
use rpc_client::RpcClient;
use service_runtime::{App, NoCommand, Runtime};
use sqlx::migrate::Migrator;

use crate::config::Settings;
use crate::consumers;
use crate::grpc::EnrollmentGrpc;

/// What the use cases work with.
pub struct Enrollment {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub auth: RpcClient,
    pub catalog: RpcClient,
}

impl App for Enrollment {
    const NAME: &'static str = "enrollment";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/enrollment"))
    }

    async fn start(runtime: &mut Runtime, _settings: Settings) -> anyhow::Result<()> {
        let app = Arc::new(Self {
            db: runtime.database().clone(),
            clock: runtime.clock(),
            pages: runtime.page_tokens(),
            auth: runtime.rpc("auth"),
            catalog: runtime.rpc("catalog"),
        });
        runtime.relay_outbox();
        runtime.consume(consumers::courses());
        runtime.consume(consumers::users());
        runtime.grpc(|routes| {
            routes.add_service(EnrollmentServiceServer::new(EnrollmentGrpc::new(app)));
        });
        Ok(())
    }
}
