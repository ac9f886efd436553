//! A gateway in this process, on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::live::{Feed, Tickets};
use access_token::{BoxError, Issuer, Jwk, KeySource, Revocations, SigningKey, UserToken, Verifier};
use cache::{Redis, RedisSettings};
use clock::Clock;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rate_limit::RateLimiter;
use reqwest::Client;
use rpc_client::{RpcClient, RpcSettings, ServiceTokens};
use serde_json::Value;
use service_runtime::App;
use service_runtime::admin::Health;
use service_runtime::configuration::load;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use typed_id::{SessionId, TokenId, UserId};

use super::backend::{self, PATIENCE, Seen};
use crate::app::{Clients, Gateway, router, serve};
use crate::config::Settings;
use crate::health::Watch;
use crate::listen::Listener;
use crate::live::Live;
use crate::live::hub::Hub;
use crate::rest::shared::SharedAnswers;
use crate::shedding::Shedding;

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

pub struct Edge {
    pub address: SocketAddr,
    pub seen: Seen,
    pub stopping: CancellationToken,
    pub stop: CancellationToken,
    pub served: tokio::task::JoinHandle<anyhow::Result<()>>,
    pub client: Client,
    pub clock: Clock,
    pub revocations: Revocations,
    issuer: Issuer,
}

#[derive(Default)]
pub struct Options {
    /// Settings, as in the environment; rate limits are off unless they say otherwise.
    pub settings: &'static [(&'static str, &'static str)],
    /// Services that are away.
    pub away: &'static [&'static str],
    /// Away without it.
    pub redis: Option<RedisSettings>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// Checks that it is a problem document with this status and code.
    #[track_caller]
    pub fn check_problem(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!(
            (self.status, body["code"].as_str()),
            (status, Some(code)),
            "{body}"
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(body["status"], status);
        assert!(body["request_id"].as_str().is_some_and(|id| !id.is_empty()));
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        for member in ["type", "title", "detail", "instance"] {
            assert!(
                body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {body}"
            );
        }
        assert!(body["errors"].is_array());
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

struct Fixed(Jwk);

#[async_trait::async_trait]
impl KeySource for Fixed {
    async fn fetch(&self) -> Result<Vec<Jwk>, BoxError> {
        Ok(vec![self.0.clone()])
    }
}

impl Edge {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let clock = Clock::fixed(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        let given = [
            ("SC_HTTP__LISTEN", "127.0.0.1:0"),
            // Tests wait for the end of what is kept.
            ("SC_HTTP__KEEP_ALIVE_SECONDS", "4"),
            ("RATELIMIT_ENABLED", "false"),
        ];
        let given = given
            .iter()
            .chain(options.settings)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = load::<Settings>(Gateway::DEFAULTS, None, given).unwrap();
        let Settings {
            http,
            live,
            ratelimit,
        } = loaded.app;
        let (backend, seen) = backend::start().await;
        let (backend, rpc) = (format!("http://{backend}"), RpcSettings::default());
        let auth = RpcClient::new("auth", &backend, &rpc, None).unwrap();
        let tokens = ServiceTokens::new(auth, "gateway", "secret".into());
        let service = |name: &str| {
            let url = if options.away.contains(&name) {
                NOWHERE
            } else {
                &backend
            };
            RpcClient::new(name, url, &rpc, Some(tokens.clone())).unwrap()
        };
        let names = loaded.runtime.tokens;
        let issuer = Issuer::new(
            SigningKey::generate("key-1").unwrap(),
            &names.issuer,
            &names.audience,
        );
        let keys = Arc::new(Fixed(issuer.key().public_jwk()));
        let redis_settings = options.redis.unwrap_or_else(|| RedisSettings {
            url: "redis://127.0.0.1:1".into(),
            prefix: String::new(),
        });
        let redis = Redis::connect(&redis_settings).unwrap();
        let revocations = Revocations::default();
        let (stopping, stop) = (CancellationToken::new(), CancellationToken::new());
        let hub = Hub::new(&live, clock.clone(), revocations.clone(), service("notification"));
        let feed = Feed::new(&redis_settings, clock.clone()).unwrap();
        tokio::spawn(Arc::clone(&hub).follow(feed, stop.clone()));
        tokio::spawn(Arc::clone(&hub).watch(stop.clone()));
        let gateway = Arc::new(Gateway {
            verifier: Arc::new(Verifier::new(
                keys,
                revocations.clone(),
                &names.issuer,
                &names.audience,
                clock.clone(),
            )),
            limiter: RateLimiter::new(redis.clone()),
            rates: ratelimit,
            clients: Clients {
                auth: service("auth"),
                catalog: service("catalog"),
                enrollment: service("enrollment"),
                notification: service("notification"),
                video_progress: service("video_progress"),
                exam: service("exam"),
                reporting: service("reporting"),
            },
            shared: SharedAnswers::new(),
            shedding: Shedding::new(http.max_in_flight),
            body_timeout: Duration::from_secs(http.body_timeout_seconds),
            live: Live {
                hub: Arc::clone(&hub),
                tickets: Tickets::new(redis.clone()),
                origins: http.cors_origins.clone(),
            },
        });
        let watch = Watch::default();
        tokio::spawn(watch.clone().run(gateway.clients.clone(), stop.clone()));
        let health = watch.add_to(Health::new(None, redis, None, stopping.clone()));
        let router = router(&gateway, health, &http, clock.clone());
        let listener = Listener::bind(&http).await.unwrap();
        let address = listener.address().unwrap();
        let served = tokio::spawn(serve(listener, router, hub, stop.clone()));
        let client = client().build().unwrap();
        Self {
            address,
            seen,
            stopping,
            stop,
            served,
            client,
            clock,
            revocations,
            issuer,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `Authorization` of a user with these permissions.
    pub fn token(&self, permissions: &[&str]) -> String {
        let now = self.clock.now();
        format!(
            "Bearer {}",
            self.token_of(UserId::new(now), SessionId::new(now), permissions)
        )
    }

    /// The access token of a user in a session.
    pub fn token_of(&self, user_id: UserId, session_id: SessionId, permissions: &[&str]) -> String {
        let now = self.clock.now();
        let permissions: Vec<String> = permissions.iter().map(|name| (*name).to_owned()).collect();
        let token = UserToken {
            user_id,
            session_id,
            impersonator: None,
            token_id: TokenId::new(now),
            roles: &[],
            permissions: &permissions,
            now,
            ttl: time::Duration::minutes(15),
        };
        self.issuer.issue_user(&token).unwrap()
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"").await
    }

    pub async fn send(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self
            .client
            .request(Method::from_bytes(verb.as_bytes()).unwrap(), self.url(path));
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        if !body.is_empty() {
            request = request.body(body.to_vec());
        }
        answer(request.send().await.unwrap()).await
    }
}

pub fn client() -> reqwest::ClientBuilder {
    Client::builder().no_gzip().timeout(PATIENCE)
}

pub async fn answer(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        status,
        headers,
        bytes: response.bytes().await.unwrap().to_vec(),
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
