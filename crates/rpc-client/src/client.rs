use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Method, Rpc};
use http::Uri;
use http::uri::{InvalidUri, Scheme};
use peer_tls::{PeerConnector, PeerTls};
use rand::Rng;
use request_context::RequestContext;
use serde::Deserialize;
use tonic::{Code, Response, Status};

use crate::breaker::{Breaker, BreakerSettings};
use crate::budget::RetryBudget;
use crate::connection::{CONNECT_TIMEOUT, Connection, Connector, Target};
use crate::encoded::{decode, encode};
use crate::service_tokens::ServiceTokens;

/// How calls are made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcSettings {
    /// Longest wait for an answer when the request itself has no nearer deadline.
    pub timeout_seconds: u64,
    /// HTTP/2 connections to each service.
    pub connections: usize,
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self {
            timeout_seconds: 10,
            connections: 1,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the address of {name} is not one of http, nor of https with mutual TLS")]
pub struct RpcError {
    name: String,
    #[source]
    source: Option<InvalidUri>,
}

const MAX_RETRIES: u32 = 2;

/// Calls one service. Cheap to clone; connections are opened when they are needed.
#[derive(Clone)]
pub struct RpcClient {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    target: Target,
    connections: Vec<Connection>,
    next: AtomicUsize,
    timeout: Duration,
    breaker: Breaker,
    budget: RetryBudget,
    tokens: Option<ServiceTokens>,
}

impl RpcClient {
    /// In plain text.
    pub fn new(
        name: &str,
        url: &str,
        settings: &RpcSettings,
        tokens: Option<ServiceTokens>,
    ) -> Result<Self, RpcError> {
        Self::over(name, url, settings, tokens, None)
    }

    /// Over mutual TLS when the URL says `https`.
    pub fn over(
        name: &str,
        url: &str,
        settings: &RpcSettings,
        tokens: Option<ServiceTokens>,
        tls: Option<&PeerTls>,
    ) -> Result<Self, RpcError> {
        let wrong = |source| RpcError {
            name: name.to_owned(),
            source,
        };
        let uri: Uri = url.parse().map_err(|fault| wrong(Some(fault)))?;
        let authority = uri.authority().cloned().ok_or_else(|| wrong(None))?;
        let scheme = uri.scheme().cloned().ok_or_else(|| wrong(None))?;
        let connector = match tls {
            Some(tls) if scheme == Scheme::HTTPS => {
                Connector::Tls(PeerConnector::new(tls.clone(), CONNECT_TIMEOUT))
            }
            _ if scheme == Scheme::HTTP => Connector::plain(),
            _ => return Err(wrong(None)),
        };
        let target = Target {
            scheme,
            authority,
            connector,
        };
        let inner = Inner {
            name: name.to_owned(),
            target,
            connections: (0..settings.connections.max(1))
                .map(|_| Connection::default())
                .collect(),
            next: AtomicUsize::new(0),
            timeout: Duration::from_secs(settings.timeout_seconds),
            breaker: Breaker::new(BreakerSettings::default()),
            budget: RetryBudget::new(),
            tokens,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Writes whether calls are held back to the metrics.
    pub fn record_metrics(&self) {
        let is_open = f64::from(u8::from(self.inner.breaker.is_open()));
        metrics::gauge!("circuit_open", "to" => self.inner.name.clone()).set(is_open);
    }

    /// Calls with the token of the request that is being served, if it has one.
    pub async fn call<R: Rpc>(&self, request: R::Request) -> Result<Response<R::Response>, Status> {
        decode(self.call_encoded(R::METHOD, encode(&request)).await?)
    }

    /// Calls with a message that is encoded already; so is the answer.
    pub async fn call_encoded(
        &self,
        method: &'static Method,
        request: Bytes,
    ) -> Result<Response<Bytes>, Status> {
        self.call_in(method, request_context::current(), request).await
    }

    /// Calls as this process, with its service token.
    pub async fn call_as_service<R: Rpc>(
        &self,
        request: R::Request,
    ) -> Result<Response<R::Response>, Status> {
        decode(self.call_encoded_as_service(R::METHOD, encode(&request)).await?)
    }

    async fn call_encoded_as_service(
        &self,
        method: &'static Method,
        request: Bytes,
    ) -> Result<Response<Bytes>, Status> {
        let Some(tokens) = &self.inner.tokens else {
            return Err(Status::internal("no service tokens"));
        };
        let context = RequestContext {
            authorization: Some(tokens.get(self.name()).await?),
            ..request_context::current()
        };
        let answer = self.call_in(method, context.clone(), request.clone()).await;
        match answer {
            // The keys changed, or the token was made before a restart of auth: once with a new one.
            Err(status) if status.code() == Code::Unauthenticated => {
                let context = RequestContext {
                    authorization: Some(tokens.renew(self.name()).await?),
                    ..context
                };
                self.call_in(method, context, request).await
            }
            answer => answer,
        }
    }

    async fn call_in(
        &self,
        method: &'static Method,
        context: RequestContext,
        request: Bytes,
    ) -> Result<Response<Bytes>, Status> {
        let inner = &*self.inner;
        let limit = context
            .remaining()
            .map_or(inner.timeout, |left| left.min(inner.timeout));
        let deadline = tokio::time::Instant::now() + limit;
        inner.budget.deposit();
        let mut retries = 0;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Err(Status::deadline_exceeded("no time left"));
            }
            let answer = inner.attempt(method, &context, request.clone(), left).await;
            let Err(status) = &answer else { return answer };
            let again = status.code() == Code::Unavailable
                && method.policy.idempotent
                && retries < MAX_RETRIES
                && !inner.breaker.is_open()
                && is_transport(status)
                && inner.budget.withdraw();
            if !again {
                return answer;
            }
            retries += 1;
            metrics::counter!("rpc_client_retries_total", "service" => inner.name.clone()).increment(1);
            let pause = rand::rng().random_range(10..50) * u64::from(retries);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

/// Whether the call failed on its way, and was not answered so by the service.
fn is_transport(status: &Status) -> bool {
    status.details().is_empty()
}

impl Inner {
    async fn attempt(
        &self,
        method: &'static Method,
        context: &RequestContext,
        message: Bytes,
        limit: Duration,
    ) -> Result<Response<Bytes>, Status> {
        if !self.breaker.allows() {
            return Err(Status::unavailable(format!(
                "{} was away a moment ago",
                self.name
            )));
        }
        let trial = Trial {
            breaker: &self.breaker,
            told: false,
        };
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = &self.connections[turn % self.connections.len()];
        let call = connection.unary(&self.target, method, context, limit, &message);
        let answer = match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer,
            Err(_) => Err(Status::deadline_exceeded(format!(
                "{} did not answer in time",
                self.name
            ))),
        };
        trial.tell(answer.as_ref().err());
        answer
    }
}

/// Tells the breaker how a call went, also when its future is dropped.
struct Trial<'a> {
    breaker: &'a Breaker,
    told: bool,
}

impl Trial<'_> {
    fn tell(mut self, fault: Option<&Status>) {
        self.told = true;
        match fault {
            Some(status)
                if is_transport(status)
                    && matches!(
                        status.code(),
                        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown
                    ) =>
            {
                self.breaker.failed();
            }
            _ => self.breaker.succeeded(),
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.abandoned();
        }
    }
}
