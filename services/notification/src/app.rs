//! The composition root.

mod links;

use std::sync::Arc;

use clock::Clock;
use contracts::notification::v1::notification_service_server::NotificationServiceServer;
use live::{Push, Tickets};
use postgres::{Database, PageTokens};
use rpc_client::RpcClient;
use service_runtime::{App, NoCommand, Runtime};
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

use crate::config::Settings;
use crate::consumers;
use crate::domain::texts::Texts;
use crate::grpc::NotificationGrpc;
use crate::mail::sender::Sender;
use crate::mail::transport::Transport;
use crate::personal_data::PERSONAL_DATA;
use links::Links;

/// What the use cases work with.
pub struct Notification {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub auth: RpcClient,
    pub texts: Texts,
    pub links: Links,
    pub wake_sender: Arc<Notify>,
    pub tickets: Tickets,
    /// To the sockets of whom it concerns, after the commit.
    pub push: Push,
}

impl App for Notification {
    const NAME: &'static str = "notification";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/notification"))
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let (push, pusher) = live::push(runtime.redis().clone(), runtime.clock());
        let app = Arc::new(Self {
            db: runtime.database().clone(),
            clock: runtime.clock(),
            pages: runtime.page_tokens(),
            auth: runtime.rpc("auth"),
            texts: Texts::load()?,
            links: Links::new(runtime.public_url()),
            wake_sender: Arc::new(Notify::new()),
            tickets: Tickets::new(runtime.redis().clone()),
            push,
        });
        let sender = Sender {
            db: app.db.clone(),
            clock: app.clock.clone(),
            transport: Transport::new(&settings.mail)?,
            wake: Arc::clone(&app.wake_sender),
            concurrency: settings.mail.concurrency,
            max_attempts: settings.mail.max_attempts,
        };
        let shutdown = runtime.shutdown();
        runtime.spawn("mail-sender", sender.run(shutdown));
        runtime.spawn("live-push", pusher.run(runtime.shutdown()));
        runtime.consume(consumers::users(&app));
        runtime.consume(consumers::accounts(&app));
        runtime.consume(consumers::enrollments(&app));
        runtime.consume(consumers::learning(&app));
        personal_data::serve(runtime, PERSONAL_DATA);
        runtime.grpc(|routes| {
            routes.add_service(NotificationServiceServer::new(NotificationGrpc::new(app)));
        });
        Ok(())
    }
}
