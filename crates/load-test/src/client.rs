//! Single calls of the public API, for all that is prepared before there is load.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::wire::Connection;

/// How long a limited or shedding server is waited for.
const PATIENCE: Duration = Duration::from_mins(2);
const KEPT: usize = 64;

/// The API as one address uses it. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    gateway: SocketAddr,
    from: Ipv4Addr,
    kept: Arc<Mutex<Vec<Connection>>>,
}

impl Client {
    pub fn new(url: &str) -> Result<Self> {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        Ok(Self {
            gateway: address
                .parse()
                .with_context(|| format!("no address that load can be sent to: {url}"))?,
            from: Ipv4Addr::LOCALHOST,
            kept: Arc::default(),
        })
    }

    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The API from another address.
    #[must_use]
    pub fn from(&self, from: Ipv4Addr) -> Self {
        Self {
            gateway: self.gateway,
            from,
            kept: Arc::default(),
        }
    }

    /// Sends a request below `/api/v1`; status and body.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>)> {
        let (status, body, _) = self
            .exchange(&request(method, &format!("/api/v1{path}"), token, body)?)
            .await?;
        Ok((status, body))
    }

    /// As [`Client::send`], for what has to work. It waits where it is told to come back later.
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        let request = request(method, &format!("/api/v1{path}"), token, body.as_ref())?;
        let began = Instant::now();
        let (status, bytes) = loop {
            match self.exchange(&request).await? {
                (429 | 503, body, after) if began.elapsed() < PATIENCE => {
                    if after > PATIENCE.as_secs() {
                        bail!("{method} {path}: {}", String::from_utf8_lossy(&body));
                    }
                    tokio::time::sleep(Duration::from_secs(after.max(1))).await;
                }
                (status, body, _) => break (status, body),
            }
        };
        ensure!(
            (200..300).contains(&status),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&bytes)
        );
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).context("no JSON")
    }

    /// A text that anybody may read, at any path.
    pub async fn text(&self, path: &str) -> Result<String> {
        let (status, body, _) = self.exchange(&request("GET", path, "", None)?).await?;
        ensure!(status == 200, "GET {path}: {status}");
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn exchange(&self, request: &[u8]) -> Result<(u16, Vec<u8>, u64)> {
        let known = self.kept().pop().filter(|known| !known.is_closed());
        let mut connection = match known {
            Some(known) => known,
            None => Connection::open(self.gateway, self.from).await?,
        };
        let (answer, body) = connection.exchange_whole(request).await?;
        let mut kept = self.kept();
        if answer.is_kept && kept.len() < KEPT {
            kept.push(connection);
        }
        Ok((
            answer.status,
            body,
            answer.retry_after_seconds.unwrap_or_default(),
        ))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request(method: &str, path: &str, token: &str, body: Option<&Value>) -> Result<Vec<u8>> {
    let body = body.map(serde_json::to_vec).transpose()?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: sc\r\n");
    if !token.is_empty() {
        text += "authorization: Bearer ";
        text += token;
        text += "\r\n";
    }
    if let Some(body) = &body {
        text += "content-type: application/json\r\ncontent-length: ";
        text += &body.len().to_string();
        text += "\r\n";
    } else if method != "GET" {
        text.push_str("content-length: 0\r\n");
    }
    let mut bytes = format!("{text}\r\n").into_bytes();
    bytes.extend(body.unwrap_or_default());
    Ok(bytes)
}

/// The text in a member.
pub fn text(value: &Value, member: &str) -> Result<String> {
    let text = value[member]
        .as_str()
        .with_context(|| format!("no {member} in {value}"))?;
    Ok(text.to_owned())
}
