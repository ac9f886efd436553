//! What travels with a request through every process: its id, trace, deadline, caller's token, language and arrival.
//!
//! The context is a task-local. [`spawn`] hands it to a new task; plain `tokio::spawn` loses it.

mod trace;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;

use problem::Language;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

pub use trace::{TraceParent, trace_id, traceparent, tracestate};
pub use wire::{bearer, header};

/// The context of the request that the current task works for.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// From the caller when well-formed, else made by the gateway.
    pub request_id: Option<Arc<str>>,
    /// The caller's access token, without `Bearer`.
    pub authorization: Option<Arc<str>>,
    /// When the answer is no longer wanted.
    pub deadline: Option<Instant>,
    /// The client's address as the gateway saw it behind its trusted proxies.
    pub client_ip: Option<IpAddr>,
    pub user_agent: Option<Arc<str>>,
    pub language: Language,
    /// When the request arrived at the gateway; deadlines of exams are judged by it.
    pub arrived_at: Option<OffsetDateTime>,
    pub idempotency_key: Option<Arc<str>>,
    /// W3C `traceparent` that came with the request.
    pub traceparent: Option<Arc<str>>,
    /// W3C `tracestate` that came with it: what other systems on the way have to say about the trace. It goes on unchanged.
    pub tracestate: Option<Arc<str>>,
    /// Who asks, once their token was verified; for log lines. It does not travel: each process verifies for itself.
    pub user_id: Option<Uuid>,
}

tokio::task_local! {
    // Behind a pointer, as it is swapped in and out whenever the task is polled.
    static CURRENT: Arc<RequestContext>;
}

/// A copy of the current task's context; an empty one outside of a request.
pub fn current() -> RequestContext {
    with(Clone::clone)
}

/// Looks at the current task's context without a copy of it.
pub fn with<T>(look: impl FnOnce(&RequestContext) -> T) -> T {
    look(&shared())
}

/// Runs `work` in `context`. No `async fn`, which would hold `work` twice.
pub fn scope<F: Future>(context: impl Into<Arc<RequestContext>>, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(context.into(), work)
}

/// Spawns a task that keeps the context and the span of this one.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(scope(shared(), work.in_current_span()))
}

fn shared() -> Arc<RequestContext> {
    CURRENT.try_with(Arc::clone).unwrap_or_default()
}

impl RequestContext {
    /// The context in which an event is handled: the trace and the id of the request that caused it.
    pub fn for_event(request_id: Option<&str>, traceparent: Option<&str>) -> Self {
        Self {
            request_id: request_id.map(Arc::from),
            traceparent: traceparent.map(Arc::from),
            ..Self::default()
        }
    }

    /// Makes the caller's span the parent of `span`, where OpenTelemetry is on.
    pub fn adopt(&self, span: &tracing::Span) {
        trace::set_parent(span, self.traceparent.as_deref(), self.tracestate.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_spawned_task_keeps_the_context() {
        let context = RequestContext::for_event(Some("r-1"), None);
        let seen = scope(context, async {
            spawn(async { current().request_id }).await.unwrap()
        })
        .await;
        assert_eq!(seen.as_deref(), Some("r-1"));
        assert!(current().request_id.is_none());
    }
}
