//! The composition root.

use std::sync::Arc;

use clock::Clock;
use contracts::enrollment::v1::enrollment_service_server::EnrollmentServiceServer;
use postgres::{CoalesceSettings, Coalescer, Database, PageTokens};
use rpc_client::RpcClient;
use service_runtime::{App, Runtime};
use sqlx::migrate::Migrator;

use crate::config::Settings;
use crate::grpc::EnrollmentGrpc;
use crate::personal_data::PERSONAL_DATA;
use crate::usecases::take_seats::{self, Application, Outcome};
use crate::{consumers, demo, jobs};

/// What the use cases work with.
pub struct Enrollment {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub auth: RpcClient,
    pub catalog: RpcClient,
    /// Enrolments on their way into a commit.
    pub seats: Coalescer<Application, Outcome>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Enrol the demo student (never in production).
    SeedDemo,
}

impl Enrollment {
    fn of(runtime: &Runtime) -> Self {
        Self::new(
            runtime.database().clone(),
            runtime.clock(),
            runtime.page_tokens(),
            runtime.rpc("auth"),
            runtime.rpc("catalog"),
        )
    }

    pub fn new(db: Database, clock: Clock, pages: PageTokens, auth: RpcClient, catalog: RpcClient) -> Self {
        let for_seats = db.clone();
        Self {
            seats: Coalescer::start("enrollments", CoalesceSettings::default(), move |batch| {
                take_seats::write(for_seats.clone(), batch)
            }),
            db,
            clock,
            pages,
            auth,
            catalog,
        }
    }
}

impl App for Enrollment {
    const NAME: &'static str = "enrollment";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = Command;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/enrollment"))
    }

    async fn start(runtime: &mut Runtime, _settings: Settings) -> anyhow::Result<()> {
        let app = Arc::new(Self::of(runtime));
        runtime.relay_outbox();
        runtime.consume(consumers::courses());
        runtime.consume(consumers::users());
        runtime.consume(consumers::progress());
        runtime.spawn(
            "expire-enrollments",
            jobs::expire_enrollments::run(Arc::clone(&app), runtime.shutdown()),
        );
        personal_data::serve(runtime, PERSONAL_DATA);
        runtime.grpc(|routes| {
            let service = EnrollmentServiceServer::new(EnrollmentGrpc::new(app));
            // Rosters are imported as files.
            routes.add_service(service.max_decoding_message_size(32 << 20));
        });
        Ok(())
    }

    async fn command(runtime: &mut Runtime, _settings: Settings, command: Command) -> anyhow::Result<()> {
        match command {
            Command::SeedDemo => {
                service_runtime::demo::refuse_in_production(runtime.env())?;
                demo::seed(&Self::of(runtime)).await
            }
        }
    }
}
