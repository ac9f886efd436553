//! Health and metrics: on the admin port of every process, and health on the gateway's public port too.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use cache::Redis;
use event_bus::EventBus;
use postgres::Database;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// What readiness looks at.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Parts>,
}

struct Parts {
    database: Option<Database>,
    redis: Redis,
    bus: Option<EventBus>,
    stopping: CancellationToken,
    also: Vec<(&'static str, Weight, Probe)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Required,
    Shown,
}

type Probe = Box<dyn Fn() -> futures::future::BoxFuture<'static, bool> + Send + Sync>;

impl Health {
    pub fn new(
        database: Option<Database>,
        redis: Redis,
        bus: Option<EventBus>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            inner: Arc::new(Parts {
                database,
                redis,
                bus,
                stopping,
                also: Vec::new(),
            }),
        }
    }

    /// Adds a check that has to hold.
    #[must_use]
    pub fn requires<F, Fut>(self, name: &'static str, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.with(name, Weight::Required, Box::new(move || Box::pin(probe())))
    }

    /// Adds a check that is shown; without it the process goes on.
    #[must_use]
    pub fn shows<F, Fut>(self, name: &'static str, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.with(name, Weight::Shown, Box::new(move || Box::pin(probe())))
    }

    fn with(mut self, name: &'static str, weight: Weight, probe: Probe) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.inner) {
            parts.also.push((name, weight, probe));
        }
        self
    }

    /// Ready: the database answers and the process is not stopping. Cache and broker are shown; without them it goes on.
    async fn ready(&self) -> (bool, Map<String, Value>) {
        let mut checks = Map::new();
        let mut ready = !self.inner.stopping.is_cancelled();
        if let Some(database) = &self.inner.database {
            let answers = database.ping().await;
            ready &= answers;
            checks.insert("database".into(), json!(answers));
        }
        checks.insert("cache".into(), json!(self.inner.redis.ping().await));
        if let Some(bus) = &self.inner.bus {
            checks.insert("broker".into(), json!(bus.is_connected()));
        }
        for (name, weight, probe) in &self.inner.also {
            let answers = probe().await;
            ready &= answers || *weight == Weight::Shown;
            checks.insert((*name).to_owned(), json!(answers));
        }
        (ready, checks)
    }
}

/// `/health`, `/health/live`, `/health/ready`, and the spellings of the older systems with a slash at the end.
pub fn health_routes(health: Health) -> Router {
    let mut router = Router::new();
    for base in ["/health", "/api/health"] {
        for (tail, kind) in [("", Kind::Live), ("/live", Kind::Live), ("/ready", Kind::Ready)] {
            for slash in ["", "/"] {
                let path = format!("{base}{tail}{slash}");
                router = match kind {
                    Kind::Live => router.route(&path, get(live)),
                    Kind::Ready => router.route(&path, get(ready)),
                };
            }
        }
    }
    for slash in ["", "/"] {
        router = router
            .route(&format!("/ready{slash}"), get(ready))
            .route(&format!("/live{slash}"), get(live));
    }
    router.with_state(health)
}

/// `/metrics` (JSON) and `/metrics/prometheus` (text).
pub fn metrics_routes() -> Router {
    Router::new()
        .route("/metrics", get(metrics_json))
        .route("/metrics/prometheus", get(metrics_prometheus))
}

#[derive(Clone, Copy)]
enum Kind {
    Live,
    Ready,
}

async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(health): State<Health>) -> Response {
    let (ready, checks) = health.ready().await;
    let (status, word) = if ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (status, Json(json!({"status": word, "checks": checks}))).into_response()
}

async fn metrics_json() -> Json<Value> {
    Json(telemetry::metrics_json())
}

async fn metrics_prometheus() -> Response {
    (
        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::metrics_prometheus(),
    )
        .into_response()
}
