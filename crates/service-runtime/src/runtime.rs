use std::collections::HashMap;
use std::sync::Arc;

use access_token::{KeySource, Revocations, Verifier};
use anyhow::{Context, Result};
use cache::Redis;
use clock::Clock;
use event_bus::{Consumer, EventBus, Relay, Subscription};
use peer_tls::{PeerTls, TlsFiles};
use postgres::{Database, PageTokens};
use rpc_client::{RpcClient, ServiceTokens};
use scheduler::Job;
use secrecy::ExposeSecret;
use task_queue::{Tasks, Workers};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::RoutesBuilder;

use crate::jobs;
use crate::revocation::RemoteKeys;
use crate::settings::{Environment, RuntimeSettings};

/// What a process is built from. An app's composition root takes its parts from here and registers what is to run.
pub struct Runtime {
    pub(crate) name: &'static str,
    /// This process's name in the history of jobs and tasks.
    pub(crate) instance: String,
    pub(crate) settings: RuntimeSettings,
    pub(crate) clock: Clock,
    pub(crate) database: Option<Database>,
    pub(crate) bus: EventBus,
    pub(crate) redis: Redis,
    /// For both directions; `None`: plain text.
    pub(crate) tls: Option<PeerTls>,
    clients: HashMap<String, RpcClient>,
    pub(crate) revocations: Revocations,
    keys: Option<Arc<dyn KeySource>>,
    verifier: Option<Arc<Verifier>>,
    pub(crate) polls_revocations: bool,
    pub(crate) routes: RoutesBuilder,
    pub(crate) serves_grpc: bool,
    pub(crate) http_server: Option<HttpServer>,
    pub(crate) admin: axum::Router,
    pub(crate) jobs: Vec<Job>,
    /// Ends background work, after the servers have drained.
    pub(crate) background: CancellationToken,
    /// Set when the process shall stop taking requests.
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A server of the app's own, which runs until the token is cancelled and then drains.
pub(crate) type HttpServer =
    Box<dyn FnOnce(CancellationToken) -> futures::future::BoxFuture<'static, Result<()>> + Send>;

impl Runtime {
    pub(crate) fn new(
        name: &'static str,
        settings: RuntimeSettings,
        clock: Clock,
        has_database: bool,
    ) -> Result<Self> {
        let database = if has_database {
            Some(Database::connect(&settings.database, name, clock.clone()).context("database.url")?)
        } else {
            None
        };
        let redis = Redis::connect(&settings.redis)?;
        let bus = EventBus::new(settings.amqp.clone(), name);
        let tls = settings.grpc.tls_files().map(peer_tls).transpose()?;
        let clients = clients(name, &settings, tls.as_ref())?;
        Ok(Self {
            name,
            instance: jobs::instance(name),
            clock,
            database,
            bus,
            redis,
            tls,
            clients,
            revocations: Revocations::default(),
            keys: None,
            verifier: None,
            polls_revocations: true,
            routes: RoutesBuilder::default(),
            serves_grpc: false,
            http_server: None,
            admin: axum::Router::new(),
            jobs: Vec::new(),
            background: CancellationToken::new(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            settings,
        })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn env(&self) -> Environment {
        self.settings.env
    }

    pub fn settings(&self) -> &RuntimeSettings {
        &self.settings
    }

    /// Where clients reach the product.
    pub fn public_url(&self) -> &str {
        &self.settings.public_url
    }

    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The process's own schema.
    #[expect(
        clippy::expect_used,
        reason = "an app with migrations has a database; one without never asks"
    )]
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("a process with a database")
    }

    pub fn bus(&self) -> &EventBus {
        &self.bus
    }

    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// The client of another process, as named in `services`.
    #[expect(
        clippy::panic,
        reason = "the default settings name every process; another name is a fault in the program"
    )]
    pub fn rpc(&self, service: &str) -> RpcClient {
        match self.clients.get(service) {
            Some(client) => client.clone(),
            None => panic!("services.{service} is not set"),
        }
    }

    pub(crate) fn rpc_clients(&self) -> Vec<RpcClient> {
        self.clients.values().cloned().collect()
    }

    pub fn page_tokens(&self) -> PageTokens {
        PageTokens::new(self.settings.page_token_key.expose_secret().as_bytes())
    }

    /// The live revocations of this process.
    pub fn revocations(&self) -> Revocations {
        self.revocations.clone()
    }

    /// For auth, which has the keys and the revocations at home.
    pub fn use_own_keys(&mut self, keys: Arc<dyn KeySource>) {
        self.keys = Some(keys);
        self.polls_revocations = false;
    }

    /// Verifies tokens against auth's keys and the live revocations.
    pub fn verifier(&mut self) -> Arc<Verifier> {
        if let Some(verifier) = &self.verifier {
            return Arc::clone(verifier);
        }
        let keys = self
            .keys
            .clone()
            .unwrap_or_else(|| Arc::new(RemoteKeys::new(self.rpc("auth"))));
        let tokens = &self.settings.tokens;
        let verifier = Verifier::new(
            keys,
            self.revocations.clone(),
            &tokens.issuer,
            &tokens.audience,
            self.clock.clone(),
        );
        // Who serves no RPC is called by no service.
        let verifier = Arc::new(if self.database.is_some() {
            verifier.serving(&tokens.audience, self.name)
        } else {
            verifier
        });
        self.verifier = Some(Arc::clone(&verifier));
        verifier
    }

    /// Adds gRPC services.
    pub fn grpc(&mut self, add: impl FnOnce(&mut RoutesBuilder)) {
        add(&mut self.routes);
        self.serves_grpc = true;
    }

    /// A server beside gRPC, as the gateway has; it gets the token that tells it to drain.
    pub fn serve<F, Fut>(&mut self, server: F)
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.http_server = Some(Box::new(move |stop| Box::pin(server(stop))));
    }

    /// Pages beside health and metrics on the admin port, which nobody outside reaches.
    pub fn admin(&mut self, routes: axum::Router) {
        self.admin = std::mem::take(&mut self.admin).merge(routes);
    }

    /// Publishes what the outbox holds.
    pub fn relay_outbox(&mut self) {
        let relay = Relay::new(self.database().clone(), self.bus.clone());
        self.spawn("outbox-relay", relay.run(self.background.clone()));
    }

    /// Consumes a queue.
    pub fn consume(&mut self, subscription: Subscription) {
        let missing = subscription.unhandled();
        debug_assert!(missing.is_empty(), "no handler for {missing:?}");
        let consumer = Consumer::new(self.database().clone(), self.bus.clone(), subscription);
        self.spawn("consumer", consumer.run(self.background.clone()));
    }

    /// Does tasks in the background, beside the other instances of this process.
    pub fn work(&mut self, tasks: Tasks) {
        let workers = Workers::new(
            self.database().clone(),
            self.bus.clone(),
            tasks,
            &self.instance,
            self.settings.tasks,
            self.background.clone(),
        );
        self.spawn("tasks", workers.run());
    }

    /// Runs jobs by the calendar, each in one instance of this process at a time.
    pub fn schedule(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.jobs.extend(jobs);
    }

    /// Set as soon as the process is asked to stop, before it closes its listeners.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Ends background work; given to what [`Runtime::spawn`] runs.
    pub fn shutdown(&self) -> CancellationToken {
        self.background.clone()
    }

    /// Runs beside the servers until the process stops.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.background.clone();
        self.tasks.spawn(async move {
            work.await;
            if !stopping.is_cancelled() {
                tracing::error!(task = name, "background work ended by itself");
            }
        });
    }
}

fn peer_tls(files: TlsFiles) -> Result<PeerTls> {
    PeerTls::read(files).map_err(|faults| {
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| format!("grpc.{} {}", fault.file, fault.what))
            .collect();
        anyhow::anyhow!(faults.join("; "))
    })
}

fn clients(
    name: &str,
    settings: &RuntimeSettings,
    tls: Option<&PeerTls>,
) -> Result<HashMap<String, RpcClient>> {
    let url = |service: &str| {
        settings
            .services
            .get(service)
            .with_context(|| format!("services.{service} is not set"))
    };
    let auth = RpcClient::over("auth", url("auth")?, &settings.rpc, None, tls)?;
    let tokens = ServiceTokens::new(auth, name, settings.service_secret.clone());
    let mut clients = HashMap::new();
    for (service, url) in &settings.services {
        let client = RpcClient::over(service, url, &settings.rpc, Some(tokens.clone()), tls)?;
        clients.insert(service.clone(), client);
    }
    Ok(clients)
}
