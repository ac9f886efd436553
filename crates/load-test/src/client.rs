//! The public API as many users at once see it.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub fn new(gateway: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(1_024)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self {
            http,
            base: format!("{gateway}/api/v1"),
        })
    }

    /// Sends a request and reads its answer; status and bytes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.bytes().await?.to_vec()))
    }

    /// As [`Client::send`], for what has to work.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Result<Value> {
        let body = (method != Method::GET).then_some(body);
        let (status, bytes) = self.send(method.clone(), path, token, body.as_ref()).await?;
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
}

/// The text in a member.
pub fn text(value: &Value, member: &str) -> Result<String> {
    let text = value[member]
        .as_str()
        .with_context(|| format!("no {member} in {value}"))?;
    Ok(text.to_owned())
}
