use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What came in.
#[derive(Debug, Clone)]
pub struct Posted {
    pub headers: HeaderMap,
    pub body: String,
}

impl Posted {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

/// An institution's system.
pub struct Receiver {
    pub url: String,
    inner: Arc<Inner>,
}

struct Inner {
    status: AtomicU16,
    posted: Mutex<Vec<Posted>>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    /// Lets go of what hangs at `/slow`.
    open: Notify,
}

impl Receiver {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner {
            status: AtomicU16::new(200),
            posted: Mutex::default(),
            inside: AtomicUsize::new(0),
            most_inside: AtomicUsize::new(0),
            open: Notify::new(),
        });
        let app = Router::new()
            .route("/hook", post(hook))
            .route("/slow", post(slow))
            .route("/huge", post(async || "x".repeat(1 << 20)))
            .route(
                "/moved",
                post(async || (StatusCode::TEMPORARY_REDIRECT, [("location", "/hook")])),
            )
            .route(
                "/later",
                post(async || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "3600")])),
            )
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inner }
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn answer(&self, status: u16) {
        self.inner.status.store(status, Ordering::SeqCst);
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.inner.posted.lock().clone()
    }

    /// How many hang at `/slow`, and how many did at once at most.
    pub fn hanging(&self) -> (usize, usize) {
        let inner = &self.inner;
        (
            inner.inside.load(Ordering::SeqCst),
            inner.most_inside.load(Ordering::SeqCst),
        )
    }

    pub fn let_go(&self) {
        self.inner.open.notify_waiters();
    }
}

async fn hook(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    inner.posted.lock().push(Posted { headers, body });
    let status = StatusCode::from_u16(inner.status.load(Ordering::SeqCst)).unwrap();
    (status, "noted").into_response()
}

async fn slow(State(inner): State<Arc<Inner>>) -> StatusCode {
    let opened = inner.open.notified();
    let inside = inner.inside.fetch_add(1, Ordering::SeqCst) + 1;
    inner.most_inside.fetch_max(inside, Ordering::SeqCst);
    opened.await;
    inner.inside.fetch_sub(1, Ordering::SeqCst);
    StatusCode::from_u16(inner.status.load(Ordering::SeqCst)).unwrap()
}
