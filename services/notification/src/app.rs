//! The composition root.

pub mod links;

use std::sync::Arc;

use anyhow::{Context, ensure};
use clock::Clock;
use contracts::notification::v1::notification_service_server::NotificationServiceServer;
use contracts::notification::v1::webhook_service_server::WebhookServiceServer;
use live::{Push, Tickets};
use postgres::{Database, PageTokens};
use roster::Roster;
use rpc_client::RpcClient;
use sealed::Sealer;
use service_runtime::{App, Environment, NoCommand, Runtime};
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

use crate::config::Settings;
use crate::domain::texts::Texts;
use crate::grpc::{NotificationGrpc, WebhookGrpc};
use crate::mail::preview;
use crate::mail::sender::Sender;
use crate::mail::transport::Transport;
use crate::personal_data::PERSONAL_DATA;
use crate::webhooks::courier::Courier;
use crate::webhooks::dispatcher::Dispatcher;
use crate::{consumers, jobs};
use links::Links;

/// What the use cases work with.
pub struct Notification {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub auth: RpcClient,
    pub texts: Texts,
    pub links: Links,
    pub roster: Roster,
    pub wake_sender: Arc<Notify>,
    pub wake_announcer: Arc<Notify>,
    pub wake_dispatcher: Arc<Notify>,
    pub sealer: Sealer,
    /// Whether webhooks may be http and lead inside, as in development.
    pub has_open_webhooks: bool,
    pub tickets: Tickets,
    /// To the sockets of whom it concerns, after the commit.
    pub push: Push,
    /// Mails to one user in an hour, apart from those that somebody waits for.
    pub hourly_cap: i32,
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
        let is_open = settings.webhooks.allow_insecure;
        ensure!(
            !is_open || runtime.env() != Environment::Production,
            "webhooks.allow_insecure: refused in production"
        );
        let (push, pusher) = live::push(runtime.redis().clone(), runtime.clock());
        let app = Arc::new(Self {
            roster: Roster::new(
                runtime.database().clone(),
                runtime.rpc("auth"),
                runtime.rpc("catalog"),
                runtime.rpc("enrollment"),
            ),
            db: runtime.database().clone(),
            clock: runtime.clock(),
            pages: runtime.page_tokens(),
            auth: runtime.rpc("auth"),
            texts: Texts::load()?,
            links: Links::new(runtime.public_url()),
            wake_sender: Arc::new(Notify::new()),
            wake_announcer: Arc::new(Notify::new()),
            wake_dispatcher: Arc::new(Notify::new()),
            sealer: Sealer::new(settings.keys.bytes().context("keys.encryption_key")?),
            has_open_webhooks: is_open,
            tickets: Tickets::new(runtime.redis().clone()),
            push,
            hourly_cap: settings.mail.hourly_cap,
        });
        let sender = Sender::new(Arc::clone(&app), Transport::new(&settings.mail)?, &settings.mail);
        runtime.spawn("mail-sender", sender.run(runtime.shutdown()));
        let concurrency = settings.webhooks.concurrency;
        let dispatcher = Dispatcher::new(Arc::clone(&app), Courier::new(is_open)?, concurrency);
        runtime.spawn("webhook-dispatcher", dispatcher.run(runtime.shutdown()));
        runtime.spawn("digests", jobs::digests(Arc::clone(&app), runtime.shutdown()));
        runtime.spawn(
            "announcements",
            jobs::announcements(Arc::clone(&app), runtime.shutdown()),
        );
        runtime.spawn(
            "queue-metrics",
            jobs::metrics(Arc::clone(&app), runtime.shutdown()),
        );
        runtime.spawn("live-push", pusher.run(runtime.shutdown()));
        runtime.schedule([
            jobs::clean(&app)?,
            jobs::forget_notifications(&app, settings.notifications)?,
            jobs::forget_deliveries(&app)?,
        ]);
        // What erasures answer, and what was done to webhooks.
        runtime.relay_outbox();
        runtime.consume(roster::courses("notification"));
        runtime.consume(roster::enrollments("notification", "members"));
        runtime.consume(consumers::users(&app));
        runtime.consume(consumers::accounts(&app));
        runtime.consume(consumers::enrollments(&app));
        runtime.consume(consumers::learning(&app));
        runtime.consume(consumers::reports(&app));
        runtime.consume(consumers::webhooks(&app));
        personal_data::serve(runtime, PERSONAL_DATA);
        if runtime.env() != Environment::Production {
            runtime.admin(preview::routes(Texts::load()?));
        }
        runtime.grpc(|routes| {
            routes.add_service(WebhookServiceServer::new(WebhookGrpc::new(Arc::clone(&app))));
            routes.add_service(NotificationServiceServer::new(NotificationGrpc::new(app)));
        });
        Ok(())
    }
}
