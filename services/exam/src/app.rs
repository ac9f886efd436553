//! The composition root.

use std::sync::Arc;

use clock::Clock;
use contracts::exam::v1::exam_service_server::ExamServiceServer;
use postgres::{Coalescer, Database, PageTokens};
use roster::Roster;
use service_runtime::{App, Runtime};
use sqlx::migrate::Migrator;

use crate::config::Settings;
use crate::grpc::ExamGrpc;
use crate::personal_data::PERSONAL_DATA;
use crate::snapshots::Snapshots;
use crate::storage::answers::{NewAnswer, Outcome};
use crate::{demo, jobs, usecases};

/// What the use cases work with.
pub struct Exams {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub roster: Roster,
    pub snapshots: Snapshots,
    /// Answers, many a commit.
    pub answers: Coalescer<NewAnswer, Outcome>,
    pub settings: Settings,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the demo exam (never in production); one that is there stays.
    SeedDemo,
}

impl Exams {
    pub fn new(db: Database, clock: Clock, pages: PageTokens, roster: Roster, settings: Settings) -> Self {
        let (for_answers, grace) = (db.clone(), f64::from(settings.grace_seconds));
        Self {
            answers: Coalescer::start("answers", settings.writes.coalescing(), move |batch| {
                usecases::save_answer::write(for_answers.clone(), batch, grace)
            }),
            snapshots: Snapshots::new(db.clone()),
            db,
            clock,
            pages,
            roster,
            settings,
        }
    }

    fn of(runtime: &Runtime, settings: Settings) -> Self {
        let db = runtime.database().clone();
        let roster = Roster::new(
            db.clone(),
            runtime.rpc("auth"),
            runtime.rpc("catalog"),
            runtime.rpc("enrollment"),
        );
        Self::new(db, runtime.clock(), runtime.page_tokens(), roster, settings)
    }
}

impl App for Exams {
    const NAME: &'static str = "exam";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = Command;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/exam"))
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let app = Arc::new(Self::of(runtime, settings));
        runtime.relay_outbox();
        for subscription in roster::subscriptions("exam") {
            runtime.consume(subscription);
        }
        runtime.spawn(
            "close-due-attempts",
            jobs::close_due::run(Arc::clone(&app), runtime.shutdown()),
        );
        runtime.spawn(
            "release-results",
            jobs::release_results::run(Arc::clone(&app), runtime.shutdown()),
        );
        personal_data::serve(runtime, PERSONAL_DATA);
        runtime.grpc(|routes| {
            routes
                .add_service(ExamServiceServer::new(ExamGrpc::new(app)).max_decoding_message_size(32 << 20));
        });
        Ok(())
    }

    async fn command(runtime: &mut Runtime, settings: Settings, command: Command) -> anyhow::Result<()> {
        match command {
            Command::SeedDemo => {
                service_runtime::demo::refuse_in_production(runtime.env())?;
                demo::seed(&Self::of(runtime, settings)).await
            }
        }
    }
}
