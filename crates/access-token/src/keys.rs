//! The public keys, kept while their source is away.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jsonwebtoken::DecodingKey;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A public key as the key set shows it (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    pub kty: String,
    pub crv: String,
    pub x: String,
    pub kid: String,
    pub r#use: String,
    pub alg: String,
}

/// Where the public keys come from.
#[async_trait]
pub trait KeySource: Send + Sync {
    async fn fetch(&self) -> Result<Vec<Jwk>, BoxError>;
}

/// An unknown key id makes us ask, but tokens with made-up ids must not make us ask for each.
const MIN_REFETCH: Duration = Duration::from_secs(10);
/// While there is no key at all we ask more often, but not for each of those who wait in line.
const MIN_RETRY: Duration = Duration::from_millis(500);

pub(crate) struct Keys {
    source: Arc<dyn KeySource>,
    known: RwLock<HashMap<String, Arc<DecodingKey>>>,
    last_fetch: Mutex<Option<Instant>>,
}

pub(crate) enum KeyError {
    Unknown,
    /// Keys were never loaded, and their source is away.
    Unavailable(BoxError),
}

impl Keys {
    pub fn new(source: Arc<dyn KeySource>) -> Self {
        Self {
            source,
            known: RwLock::default(),
            last_fetch: Mutex::default(),
        }
    }

    pub async fn get(&self, kid: &str) -> Result<Arc<DecodingKey>, KeyError> {
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        // One asks, the others wait for its answer.
        let mut last_fetch = self.last_fetch.lock().await;
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let none_known = self.known.read().is_empty();
        let pause = if none_known { MIN_RETRY } else { MIN_REFETCH };
        if last_fetch.is_some_and(|at| at.elapsed() < pause) {
            return Err(if none_known {
                KeyError::Unavailable("the signing keys could not be fetched a moment ago".into())
            } else {
                KeyError::Unknown
            });
        }
        let fetched = self.source.fetch().await;
        *last_fetch = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                *self.known.write() = keys.iter().filter_map(decoding_key).collect();
                self.known(kid).ok_or(KeyError::Unknown)
            }
            Err(fault) if none_known => Err(KeyError::Unavailable(fault)),
            Err(fault) => {
                tracing::warn!(
                    error = fault.as_ref() as &dyn StdError,
                    "signing keys could not be fetched; keeping those known"
                );
                Err(KeyError::Unknown)
            }
        }
    }

    /// Replaces what is known by what the source has now.
    pub async fn refresh(&self) -> Result<(), BoxError> {
        let mut last_fetch = self.last_fetch.lock().await;
        let fetched = self.source.fetch().await?;
        *last_fetch = Some(Instant::now());
        let known: HashMap<_, _> = fetched.iter().filter_map(decoding_key).collect();
        if known.is_empty() {
            return Err("the source has no keys".into());
        }
        *self.known.write() = known;
        Ok(())
    }

    fn known(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.known.read().get(kid).cloned()
    }
}

fn decoding_key(jwk: &Jwk) -> Option<(String, Arc<DecodingKey>)> {
    let ours = jwk.kty == "OKP" && jwk.crv == "Ed25519" && jwk.alg == "EdDSA" && jwk.r#use == "sig";
    let key = DecodingKey::from_ed_components(&jwk.x).ok().filter(|_| ours)?;
    Some((jwk.kid.clone(), Arc::new(key)))
}
