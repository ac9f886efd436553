use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Method, Rpc};
use http::uri::PathAndQuery;
use peer_tls::{PeerConnector, PeerTls};
use rand::Rng;
use request_context::RequestContext;
use serde::Deserialize;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::breaker::{Breaker, BreakerSettings};
use crate::budget::RetryBudget;
use crate::encoded::{EncodedCodec, decode, encode};
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
            connections: 2,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the address of {name} is not a URL")]
pub struct RpcError {
    name: String,
    #[source]
    source: tonic::transport::Error,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_RETRIES: u32 = 2;
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Calls one service. Cheap to clone; connections are opened when they are needed.
#[derive(Clone)]
pub struct RpcClient {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    channels: Vec<Channel>,
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
        // The connector below does TLS itself, as it follows the certificate files; tonic's own would read them once.
        let host = url.strip_prefix("https://").filter(|_| tls.is_some());
        let plain = host.map_or_else(|| url.to_owned(), |host| format!("http://{host}"));
        let connector = tls
            .filter(|_| host.is_some())
            .map(|tls| PeerConnector::new(tls.clone(), CONNECT_TIMEOUT));
        let endpoint = Endpoint::from_shared(plain)
            .map_err(|source| RpcError {
                name: name.to_owned(),
                source,
            })?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .keep_alive_while_idle(true)
            .initial_connection_window_size(4 << 20)
            .initial_stream_window_size(1 << 20);
        let channels = (0..settings.connections.max(1))
            .map(|_| match &connector {
                Some(connector) => endpoint.connect_with_connector_lazy(connector.clone()),
                None => endpoint.connect_lazy(),
            })
            .collect();
        let inner = Inner {
            name: name.to_owned(),
            channels,
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
        let mut request = Request::new(message);
        context.inject(request.metadata_mut().as_mut());
        request.set_timeout(limit);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let channel = self.channels[turn % self.channels.len()].clone();
        let mut grpc = tonic::client::Grpc::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let call = async {
            grpc.ready()
                .await
                .map_err(|fault| Status::unavailable(fault.to_string()))?;
            grpc.unary(request, PathAndQuery::from_static(method.path), EncodedCodec)
                .await
        };
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
