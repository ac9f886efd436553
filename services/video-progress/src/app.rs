//! The composition root.

use std::sync::Arc;

use clock::Clock;
use contracts::video_progress::v1::video_progress_service_server::VideoProgressServiceServer;
use postgres::{Coalescer, Database, PageTokens};
use roster::Roster;
use service_runtime::{App, NoCommand, Runtime};
use sqlx::migrate::Migrator;

use crate::config::{Settings, Writes};
use crate::grpc::VideoProgressGrpc;
use crate::personal_data::PERSONAL_DATA;
use crate::storage::access_log::Access;
use crate::storage::progress::Progress;
use crate::usecases::report_progress::{LastWritten, Reported};
use crate::usecases::sync_metadata::MetadataSync;
use crate::videos::Videos;
use crate::youtube::YouTube;
use crate::{consumers, jobs, tasks, usecases};

/// What the use cases work with.
pub struct VideoProgress {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub roster: Roster,
    pub videos: Videos,
    /// Progress reports, many a commit.
    pub reports: Coalescer<Reported, Progress>,
    /// The access log, many rows a commit.
    pub accesses: Coalescer<Access, ()>,
}

impl VideoProgress {
    pub fn new(
        db: Database,
        clock: Clock,
        pages: PageTokens,
        roster: Roster,
        videos: Videos,
        writes: Writes,
    ) -> Self {
        let (for_reports, for_accesses, last) = (db.clone(), db.clone(), LastWritten::new());
        Self {
            reports: Coalescer::start("progress", writes.coalescing(), move |batch| {
                usecases::report_progress::write(for_reports.clone(), last.clone(), batch)
            }),
            accesses: Coalescer::start("access_log", writes.coalescing(), move |batch| {
                usecases::get_embed::write(for_accesses.clone(), batch)
            }),
            db,
            clock,
            pages,
            roster,
            videos,
        }
    }
}

impl App for VideoProgress {
    const NAME: &'static str = "video_progress";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/video-progress"))
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let db = runtime.database().clone();
        let roster = Roster::new(
            db.clone(),
            runtime.rpc("auth"),
            runtime.rpc("catalog"),
            runtime.rpc("enrollment"),
        );
        let app = Arc::new(Self::new(
            db.clone(),
            runtime.clock(),
            runtime.page_tokens(),
            roster,
            Videos::new(db.clone(), runtime.rpc("catalog")),
            settings.writes,
        ));
        jobs::partitions::ensure(&db).await?;
        let youtube = YouTube::new(&settings.youtube)?;
        let asks_youtube = youtube.is_some();
        if let Some(youtube) = youtube {
            let (sync, hours) = (
                MetadataSync::new(db.clone(), runtime.clock(), youtube),
                settings.youtube.sync_hours,
            );
            runtime.schedule([jobs::youtube::ask_again(db.clone(), runtime.clock(), hours)?]);
            runtime.work(tasks::tasks(sync));
        }
        runtime.schedule([jobs::partitions::daily(db, settings.access_log.keep_months)?]);
        runtime.relay_outbox();
        for subscription in roster::subscriptions("video-progress") {
            runtime.consume(subscription);
        }
        runtime.consume(consumers::videos(&app, asks_youtube));
        personal_data::serve(runtime, PERSONAL_DATA);
        runtime.grpc(|routes| {
            routes.add_service(VideoProgressServiceServer::new(VideoProgressGrpc::new(app)));
        });
        Ok(())
    }
}
