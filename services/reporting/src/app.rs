//! The composition root.

use std::sync::Arc;

use cache::Cache;
use clock::Clock;
use contracts::operations::v1::held_operation_service_server::HeldOperationServiceServer;
use contracts::reporting::v1::reporting_service_server::ReportingServiceServer;
use object_storage::Storage;
use postgres::{Database, PageTokens};
use roster::Roster;
use service_runtime::{App, Migrator, NoCommand, OperationLimits, Runtime};
use tokio::sync::Notify;

use crate::config::Settings;
use crate::grpc::{HeldOperationGrpc, ReportingGrpc};
use crate::personal_data::PERSONAL_DATA;
use crate::usecases::write_report;
use crate::{consumers, jobs};

/// What the use cases work with.
pub struct Reporting {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub roster: Roster,
    pub cache: Cache,
    pub storage: Storage,
    /// Wakes whoever makes reports.
    pub wake_workers: Notify,
    pub limits: OperationLimits,
}

impl App for Reporting {
    const NAME: &'static str = "reporting";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/reporting"))
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let db = runtime.database().clone();
        let app = Arc::new(Self {
            roster: Roster::new(
                db.clone(),
                runtime.rpc("auth"),
                runtime.rpc("catalog"),
                runtime.rpc("enrollment"),
            ),
            db,
            clock: runtime.clock(),
            pages: runtime.page_tokens(),
            cache: Cache::new(runtime.redis().clone()),
            storage: Storage::open(&settings.storage)?,
            wake_workers: Notify::new(),
            limits: runtime.settings().operations,
        });
        jobs::ensure_partitions(&app.db).await?;
        runtime.schedule(jobs::all(&app, settings.activity.keep_months)?);
        for _ in 0..settings.reports.workers {
            runtime.spawn("reports", write_report::run(Arc::clone(&app), runtime.shutdown()));
        }
        runtime.relay_outbox();
        for subscription in roster::subscriptions("reporting") {
            runtime.consume(subscription);
        }
        runtime.consume(consumers::activity());
        ::personal_data::serve(runtime, PERSONAL_DATA);
        runtime.grpc(|routes| {
            routes.add_service(HeldOperationServiceServer::new(HeldOperationGrpc::new(
                Arc::clone(&app),
            )));
            routes.add_service(ReportingServiceServer::new(ReportingGrpc::new(app)));
        });
        Ok(())
    }
}
