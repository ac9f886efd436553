//! The composition root.

use std::sync::Arc;

use access_token::{Revocations, permissions};
use anyhow::Context;
use aws_lc_rs::hmac;
use cache::{Cache, Redis};
use clock::Clock;
use contracts::auth::v1::auth_service_server::AuthServiceServer;
use contracts::auth::v1::operation_service_server::OperationServiceServer;
use contracts::auth::v1::user_service_server::UserServiceServer;
use contracts::events::v1::UserDataErased;
use event_bus::Subscription;
use postgres::{Database, PageTokens};
use rpc_client::RpcClient;
use sealed::Sealer;
use service_runtime::{App, Environment, Migrator, OperationLimits, Runtime};
use tokio::sync::Notify;

use crate::config::Settings;
use crate::demo::Command;
use crate::grpc::{AuthGrpc, OperationGrpc, UserGrpc};
use crate::keys::KeyRing;
use crate::oidc::Providers;
use crate::passwords::Passwords;
use crate::storage::audit;
use crate::storage::roles::{self, Role};
use crate::usecases::delete_me::data_erased;
use crate::usecases::operations;
use crate::usecases::verify_email::promote_first_admin;
use crate::{demo, jobs, key_commands};

/// What the use cases work with.
pub struct Auth {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub redis: Redis,
    pub passwords: Passwords,
    pub keys: Arc<KeyRing>,
    pub revocations: Revocations,
    /// Makes the successor of each refresh token.
    pub refresh_key: hmac::Key,
    /// Signs what a device shows to be known again.
    pub device_key: hmac::Key,
    pub sealer: Sealer,
    /// The services that hold personal data.
    pub data_holders: Vec<RpcClient>,
    /// The services that have operations of their own.
    pub operation_holders: Vec<RpcClient>,
    pub wake_operations: Notify,
    pub operation_limits: OperationLimits,
    pub providers: Providers,
    /// Makes nonce and PKCE verifier of a sign-in with one of them.
    pub oidc_key: hmac::Key,
    pub departments: Cache,
    pub settings: Settings,
}

/// Everybody but this service itself.
const DATA_HOLDERS: &[&str] = &[
    "catalog",
    "enrollment",
    "video_progress",
    "exam",
    "notification",
    "reporting",
];
/// Who has operations of its own.
const OPERATION_HOLDERS: &[&str] = &["reporting"];

/// What the process brings along.
pub struct Parts {
    pub db: Database,
    pub clock: Clock,
    pub pages: PageTokens,
    pub redis: Redis,
    pub revocations: Revocations,
    pub issuer: String,
    pub audience: String,
    pub data_holders: Vec<RpcClient>,
    pub operation_holders: Vec<RpcClient>,
    pub operation_limits: OperationLimits,
}

impl Auth {
    pub fn new(runtime: &Runtime, settings: Settings) -> anyhow::Result<Self> {
        let tokens = &runtime.settings().tokens;
        let parts = Parts {
            db: runtime.database().clone(),
            clock: runtime.clock(),
            pages: runtime.page_tokens(),
            redis: runtime.redis().clone(),
            revocations: runtime.revocations(),
            issuer: tokens.issuer.clone(),
            audience: tokens.audience.clone(),
            data_holders: DATA_HOLDERS.iter().map(|name| runtime.rpc(name)).collect(),
            operation_holders: OPERATION_HOLDERS.iter().map(|name| runtime.rpc(name)).collect(),
            operation_limits: runtime.settings().operations,
        };
        Self::assemble(parts, settings)
    }

    pub fn assemble(parts: Parts, settings: Settings) -> anyhow::Result<Self> {
        let encryption_key = settings.keys.bytes().context("keys.encryption_key")?;
        let master = hmac::Key::new(hmac::HMAC_SHA256, &encryption_key);
        let derived =
            |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, purpose).as_ref());
        let sealer = Sealer::new(encryption_key);
        let keys = KeyRing::new(
            parts.db.clone(),
            parts.clock.clone(),
            &parts.issuer,
            &parts.audience,
            sealer.clone(),
        );
        Ok(Self {
            pages: parts.pages,
            passwords: Passwords::new(&settings.passwords)?,
            keys: Arc::new(keys),
            revocations: parts.revocations,
            refresh_key: derived(b"refresh-token-successor"),
            device_key: derived(b"known-device"),
            sealer,
            data_holders: parts.data_holders,
            operation_holders: parts.operation_holders,
            wake_operations: Notify::new(),
            operation_limits: parts.operation_limits,
            providers: Providers::new(&settings.oidc, &parts.clock)?,
            oidc_key: derived(b"identity-provider-sign-in"),
            departments: Cache::new(parts.redis.clone()),
            redis: parts.redis,
            db: parts.db,
            clock: parts.clock,
            settings,
        })
    }

    /// The three roles of a new installation; edited ones stay as they are.
    pub async fn ensure_roles(&self) -> Result<(), sqlx::Error> {
        for name in ["student", "teacher", "admin"] {
            let role = Role {
                name: name.to_owned(),
                permissions: permissions::defaults(name)
                    .iter()
                    .map(|p| (*p).to_owned())
                    .collect(),
                require_totp: name == "admin" && self.settings.admins_need_second_factor,
                department_scoped: false,
            };
            roles::ensure(self.db.primary(), &role).await?;
        }
        Ok(())
    }
}

impl App for Auth {
    const NAME: &'static str = "auth";
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
    type Settings = Settings;
    type Command = Command;

    fn migrator() -> Option<Migrator> {
        Some(sqlx::migrate!("../../migrations/auth"))
    }

    async fn start(runtime: &mut Runtime, settings: Settings) -> anyhow::Result<()> {
        let app = Arc::new(Self::new(runtime, settings)?);
        app.ensure_roles().await?;
        if runtime.env() == Environment::Production && !app.settings.admins_need_second_factor {
            tracing::warn!(
                "admins_need_second_factor is off: admins of a new installation need a password alone"
            );
        }
        app.keys.refresh().await?;
        audit::keep_log(&app.db).await?;
        promote_first_admin(&app).await?;
        runtime.use_own_keys(app.keys.clone());
        runtime.relay_outbox();
        runtime.spawn("signing-keys", jobs::keep_keys(app.clone(), runtime.shutdown()));
        runtime.spawn(
            "own-revocations",
            jobs::follow_revocations(app.clone(), runtime.shutdown()),
        );
        runtime.schedule([jobs::clean(&app)?]);
        runtime.spawn("operations", operations::run(app.clone(), runtime.shutdown()));
        runtime.consume(
            Subscription::new("auth", "erasures")
                .on::<UserDataErased, _>(|tx, delivery| Box::pin(data_erased(tx, delivery))),
        );
        runtime.grpc(|routes| {
            routes.add_service(AuthServiceServer::new(AuthGrpc::new(app.clone())));
            routes.add_service(OperationServiceServer::new(OperationGrpc::new(app.clone())));
            routes
                .add_service(UserServiceServer::new(UserGrpc::new(app)).max_decoding_message_size(32 << 20));
        });
        Ok(())
    }

    async fn command(runtime: &mut Runtime, settings: Settings, command: Command) -> anyhow::Result<()> {
        match command {
            Command::SeedDemo => demo::seed(runtime, settings).await,
            Command::Keys { action } => key_commands::run(&Self::new(runtime, settings)?, action).await,
        }
    }
}
