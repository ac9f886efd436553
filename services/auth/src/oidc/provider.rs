//! One provider: what it says of itself, its keys, and the exchange of a code.

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clock::Clock;
use reqwest::Client;
use rpc_client::Breaker;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::id_token::{self, Claims, Expected, Keys, TokenError};
use super::{OidcError, wire};
use crate::config::{OidcSettings, is_safe};

const SCOPES: &str = "openid email profile";
/// What it says of itself is asked for again after this long.
const METADATA_AGE: Duration = Duration::hours(1);
const KEYS_AGE: Duration = Duration::hours(1);
/// An unknown key makes us ask, but tokens with made-up ids must not make us ask for each.
const MIN_REFETCH: Duration = Duration::seconds(10);

/// What is asked for, and what the answer has to match.
#[derive(Debug, Clone, Copy)]
pub struct Authorization<'a> {
    pub redirect_uri: &'a str,
    pub state: &'a str,
    pub nonce: &'a str,
    /// The verifier of PKCE.
    pub verifier: &'a str,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The rest of a token answer is of no use here: nothing is asked for in the user's name.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

struct Kept<T> {
    value: Arc<T>,
    at: OffsetDateTime,
}

/// What is known, and how the last question ended: who waited for that answer does not ask again, or a provider that hangs would make
/// sign-ins wait for each other's time-outs.
struct Slot<T> {
    kept: Option<Kept<T>>,
    failed: Option<(Instant, OidcError)>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            kept: None,
            failed: None,
        }
    }
}

pub struct Provider {
    name: String,
    settings: OidcSettings,
    http: Client,
    clock: Clock,
    breaker: Breaker,
    metadata: Mutex<Slot<Metadata>>,
    keys: Mutex<Slot<Keys>>,
}

impl Provider {
    pub fn new(name: &str, settings: OidcSettings, http: Client, clock: Clock) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            http,
            clock,
            breaker: wire::breaker(),
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    /// Where the browser is sent.
    pub async fn authorization_url(&self, asked: Authorization<'_>) -> Result<String, OidcError> {
        let metadata = self.metadata().await?;
        let digest = digest::digest(&digest::SHA256, asked.verifier.as_bytes());
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", asked.redirect_uri)
            .append_pair("scope", SCOPES)
            .append_pair("state", asked.state)
            .append_pair("nonce", asked.nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest))
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who signed in, by the code that the provider sent to the browser.
    pub async fn redeem(
        &self,
        asked: Authorization<'_>,
        code: &str,
        iss: Option<&str>,
    ) -> Result<Claims, OidcError> {
        let metadata = self.metadata().await?;
        // RFC 9207: an answer of another provider is not for this one's ears.
        let is_ours = iss.map_or(!metadata.authorization_response_iss_parameter_supported, |iss| {
            iss == self.settings.issuer
        });
        if !is_ours {
            return Err(OidcError::Refused("an answer of another issuer"));
        }
        let token = self.exchange(&metadata, asked, code).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: asked.nonce,
            now: self.clock.now(),
        };
        let keys = self.keys(&metadata, KEYS_AGE).await?;
        match id_token::verify(&token, &keys, expected) {
            Err(TokenError::UnknownKey) => {
                let keys = self.keys(&metadata, MIN_REFETCH).await?;
                Ok(id_token::verify(&token, &keys, expected)?)
            }
            verified => Ok(verified?),
        }
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        asked: Authorization<'_>,
        code: &str,
    ) -> Result<String, OidcError> {
        let (id, secret) = (
            self.settings.client_id.as_str(),
            self.settings.client_secret.expose_secret(),
        );
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", asked.redirect_uri),
            ("code_verifier", asked.verifier),
        ];
        let mut request = self.http.post(metadata.token_endpoint.clone());
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        let takes_basic = methods.is_none_or(|methods| methods.iter().any(|m| m == "client_secret_basic"));
        if secret.is_empty() {
            form.push(("client_id", id));
        } else if takes_basic {
            // RFC 6749, section 2.3.1: both are encoded as in a form first.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(id), encoded(secret));
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        } else {
            form.extend([("client_id", id), ("client_secret", secret)]);
        }
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Serializer::new(String::new()).extend_pairs(form).finish());
        let answer: TokenAnswer = wire::ask(&self.breaker, request, "the code was not taken").await?;
        Ok(answer.id_token)
    }

    /// One asks, the others wait for its answer. What is known is kept while the provider is away.
    async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let since = Instant::now();
        let mut slot = self.metadata.lock().await;
        let now = self.clock.now();
        if let Some(known) = slot.known(since, now, METADATA_AGE) {
            return known;
        }
        let url = format!(
            "{}/.well-known/openid-configuration",
            self.settings.issuer.trim_end_matches('/')
        );
        let asked = wire::ask(&self.breaker, self.http.get(url), "it says nothing of itself").await;
        let fresh = asked.and_then(|metadata| self.judged(metadata));
        slot.keep(fresh, now)
    }

    fn judged(&self, metadata: Metadata) -> Result<Metadata, OidcError> {
        if metadata.issuer != self.settings.issuer {
            return Err(OidcError::Refused("it says that it is another issuer"));
        }
        let addresses = [
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.jwks_uri,
        ];
        if !addresses.into_iter().all(is_safe) {
            return Err(OidcError::Refused("an address of its is not https"));
        }
        let methods = metadata.code_challenge_methods_supported.as_deref();
        if !methods.is_none_or(|methods| methods.iter().any(|method| method == "S256")) {
            return Err(OidcError::Refused("it does not know PKCE with S256"));
        }
        Ok(metadata)
    }

    async fn keys(&self, metadata: &Metadata, age: Duration) -> Result<Arc<Keys>, OidcError> {
        let since = Instant::now();
        let mut slot = self.keys.lock().await;
        let now = self.clock.now();
        if let Some(known) = slot.known(since, now, age) {
            return known;
        }
        let request = self.http.get(metadata.jwks_uri.clone());
        let asked: Result<KeySet, _> = wire::ask(&self.breaker, request, "it shows no keys").await;
        slot.keep(asked.map(|set| Keys::read(&set.keys)), now)
    }
}

impl<T> Slot<T> {
    /// What there is without asking, for somebody who waits since then.
    fn known(&self, since: Instant, now: OffsetDateTime, age: Duration) -> Option<Result<Arc<T>, OidcError>> {
        let failed = self.failed.as_ref().filter(|(at, _)| *at >= since);
        match (&self.kept, failed) {
            (Some(known), failed) if now - known.at < age || failed.is_some() => {
                Some(Ok(Arc::clone(&known.value)))
            }
            (_, Some((_, fault))) => Some(Err(fault.clone())),
            _ => None,
        }
    }

    fn keep(&mut self, fresh: Result<T, OidcError>, now: OffsetDateTime) -> Result<Arc<T>, OidcError> {
        match fresh {
            Ok(value) => {
                let value = Arc::new(value);
                self.failed = None;
                self.kept = Some(Kept {
                    value: Arc::clone(&value),
                    at: now,
                });
                Ok(value)
            }
            Err(fault) => {
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "an identity provider tells nothing new"
                );
                self.failed = Some((Instant::now(), fault.clone()));
                // What is known is better than nothing.
                let known = self.kept.as_ref().map(|known| Arc::clone(&known.value));
                known.ok_or(fault)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use serde_json::json;
    use time::macros::datetime;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn who_waited_for_a_question_that_failed_does_not_ask_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // Takes questions, and never answers one.
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                open.push(connection);
            }
        });
        let settings =
            json!({"issuer": issuer, "client_id": "sc", "redirect_uris": ["https://school.test/"]});
        let http = Client::builder()
            .timeout(std::time::Duration::from_millis(300))
            .build()
            .unwrap();
        let clock = Clock::fixed(datetime!(2027-01-15 08:00 UTC));
        let provider = Provider::new("campus", serde_json::from_value(settings).unwrap(), http, clock);
        let sign_in = Authorization {
            redirect_uri: "https://school.test/",
            state: "",
            nonce: "",
            verifier: "",
        };
        let begun = join_all((0..20).map(|_| provider.authorization_url(sign_in))).await;
        assert!(
            begun
                .iter()
                .all(|url| matches!(url, Err(OidcError::Unavailable(_))))
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
