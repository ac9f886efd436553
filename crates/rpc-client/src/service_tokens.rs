//! This process's own tokens, for work that it does for nobody in particular: one for each service that it calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::auth::v1::IssueServiceTokenRequest;
use contracts::auth::v1::rpc::IssueServiceToken;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::Status;

use crate::client::RpcClient;

/// Renewed this long before it expires.
const MARGIN: Duration = Duration::from_mins(1);

/// Fetches service tokens from auth, and keeps them while they live. One fetches, the others wait.
#[derive(Clone)]
pub struct ServiceTokens {
    inner: Arc<Inner>,
}

struct Inner {
    auth: RpcClient,
    service: String,
    secret: SecretString,
    /// By the service that is called.
    current: parking_lot::Mutex<HashMap<String, (Arc<str>, Instant)>>,
    /// Held while one fetches; those whose token is there pass by.
    fetching: Mutex<()>,
}

impl ServiceTokens {
    pub fn new(auth: RpcClient, service: &str, secret: SecretString) -> Self {
        let inner = Inner {
            auth,
            service: service.to_owned(),
            secret,
            current: parking_lot::Mutex::default(),
            fetching: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The token for calls of a service.
    pub async fn get(&self, called: &str) -> Result<Arc<str>, Status> {
        if let Some(token) = self.live(called) {
            return Ok(token);
        }
        let _one = self.inner.fetching.lock().await;
        if let Some(token) = self.live(called) {
            return Ok(token);
        }
        let (token, until) = self.fetch(called).await?;
        let kept = (Arc::clone(&token), until);
        self.inner.current.lock().insert(called.to_owned(), kept);
        Ok(token)
    }

    fn live(&self, called: &str) -> Option<Arc<str>> {
        let current = self.inner.current.lock();
        let (token, until) = current.get(called)?;
        (Instant::now() < *until).then(|| Arc::clone(token))
    }

    /// A new token, whatever the present one says.
    pub async fn renew(&self, called: &str) -> Result<Arc<str>, Status> {
        self.inner.current.lock().remove(called);
        self.get(called).await
    }

    async fn fetch(&self, called: &str) -> Result<(Arc<str>, Instant), Status> {
        let request = IssueServiceTokenRequest {
            service: self.inner.service.clone(),
            secret: self.inner.secret.expose_secret().to_owned(),
            audience: called.to_owned(),
        };
        let answer = self
            .inner
            .auth
            .call::<IssueServiceToken>(request)
            .await?
            .into_inner();
        let lifetime = Duration::from_secs(u64::try_from(answer.expires_in).unwrap_or_default());
        Ok((
            answer.access_token.into(),
            Instant::now() + lifetime.saturating_sub(MARGIN),
        ))
    }
}
