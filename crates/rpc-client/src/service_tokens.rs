//! This process's own token, for work that it does for nobody in particular.

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

/// Fetches the service token from auth, and keeps it while it lives. One fetches, the others wait.
#[derive(Clone)]
pub struct ServiceTokens {
    inner: Arc<Inner>,
}

struct Inner {
    auth: RpcClient,
    service: String,
    secret: SecretString,
    current: Mutex<Option<(Arc<str>, Instant)>>,
}

impl ServiceTokens {
    pub fn new(auth: RpcClient, service: &str, secret: SecretString) -> Self {
        let inner = Inner {
            auth,
            service: service.to_owned(),
            secret,
            current: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub async fn get(&self) -> Result<Arc<str>, Status> {
        let mut current = self.inner.current.lock().await;
        if let Some((token, until)) = current.as_ref()
            && Instant::now() < *until
        {
            return Ok(Arc::clone(token));
        }
        let (token, until) = self.fetch().await?;
        *current = Some((Arc::clone(&token), until));
        Ok(token)
    }

    /// A new token, whatever the present one says.
    pub async fn renew(&self) -> Result<Arc<str>, Status> {
        *self.inner.current.lock().await = None;
        self.get().await
    }

    async fn fetch(&self) -> Result<(Arc<str>, Instant), Status> {
        let request = IssueServiceTokenRequest {
            service: self.inner.service.clone(),
            secret: self.inner.secret.expose_secret().to_owned(),
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
