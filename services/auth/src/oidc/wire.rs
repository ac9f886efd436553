//! Requests to a provider: short, bounded, without redirects, and none for a while to one that fails.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use rpc_client::{Breaker, BreakerSettings};
use serde::de::DeserializeOwned;

use super::OidcError;

const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Far more than any key set or token answer has.
const MAX_ANSWER: usize = 256 << 10;

pub fn client() -> anyhow::Result<Client> {
    // A redirect would take a code or a secret to wherever it points.
    Ok(Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
        .build()?)
}

pub fn breaker() -> Breaker {
    Breaker::new(BreakerSettings {
        threshold: 3,
        first_pause: Duration::from_secs(1),
        max_pause: Duration::from_secs(30),
    })
}

/// What it answers with 200; `refused` is why another answer of its is none.
pub async fn ask<T: DeserializeOwned>(
    breaker: &Breaker,
    request: RequestBuilder,
    refused: &'static str,
) -> Result<T, OidcError> {
    if !breaker.allows() {
        return Err(OidcError::Unavailable("it failed a moment ago".into()));
    }
    let mut trial = Trial {
        breaker,
        outcome: None,
    };
    let answer = read(request).await;
    // An answer is no fault of the line, whatever it says.
    trial.outcome = Some(matches!(&answer, Ok((status, _)) if !status.is_server_error()));
    let (status, body) = answer?;
    if status.is_server_error() {
        return Err(OidcError::Unavailable(format!("it answers {status}")));
    }
    if status != StatusCode::OK {
        return Err(OidcError::Refused(refused));
    }
    serde_json::from_slice(&body).map_err(|_| OidcError::Refused("an answer that cannot be read"))
}

async fn read(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), OidcError> {
    let unavailable = |fault: reqwest::Error| OidcError::Unavailable(fault.without_url().to_string());
    let request = request.header("accept", "application/json");
    let mut response = request.send().await.map_err(unavailable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(OidcError::Unavailable("its answer is too long".into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}

/// A caller that goes away in the middle must not keep the breaker's one trial.
struct Trial<'a> {
    breaker: &'a Breaker,
    outcome: Option<bool>,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        match self.outcome {
            Some(true) => self.breaker.succeeded(),
            Some(false) => self.breaker.failed(),
            None => self.breaker.abandoned(),
        }
    }
}
