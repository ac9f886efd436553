//! Posts one message to one address.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use super::resolver::PublicNames;
use crate::domain::public_address::webhook_url;
use crate::domain::webhook::Outcome;

/// From looking the name up to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// So much of an answer is read, and kept for the log.
const RESPONSE: usize = 1_024;
const ERROR: usize = 300;
const AGENT: &str = "StudentCoaching-Webhooks/1";

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    pub url: &'a str,
    pub id: &'a str,
    pub timestamp: i64,
    pub signatures: &'a str,
    pub body: &'a str,
}

#[derive(Clone)]
pub struct Courier {
    http: Client,
    is_open: bool,
    timeout: Duration,
}

impl Courier {
    /// `is_open`: in development, http and private addresses are welcome too.
    pub fn new(is_open: bool) -> anyhow::Result<Self> {
        // No proxy of the environment, which would look names up itself; no connection is kept, so that each is to an address just
        // looked at; no redirect, which could lead inside; nothing is inflated.
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .no_gzip()
            .user_agent(AGENT);
        if !is_open {
            builder = builder.https_only(true).dns_resolver(PublicNames::new());
        }
        Ok(Self {
            http: builder.build()?,
            is_open,
            timeout: TIMEOUT,
        })
    }

    /// With another patience, for tests.
    #[cfg(test)]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub async fn post(&self, parcel: Parcel<'_>) -> Outcome {
        let begun = Instant::now();
        let outcome = match tokio::time::timeout(self.timeout, self.exchange(parcel)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(fault)) => failed(&fault),
            Err(_) => failed(&format!("no answer within {} s", self.timeout.as_secs_f32())),
        };
        Outcome {
            took: begun.elapsed(),
            ..outcome
        }
    }

    async fn exchange(&self, parcel: Parcel<'_>) -> Result<Outcome, String> {
        // Again: an address in the URL itself is not looked up, and rules may have grown since it was stored.
        let url = webhook_url(parcel.url, self.is_open).map_err(|refused| format!("the URL {refused}"))?;
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", parcel.id)
            .header("webhook-timestamp", parcel.timestamp)
            .header("webhook-signature", parcel.signatures)
            .body(parcel.body.to_owned());
        let response = request.send().await.map_err(|fault| told(&fault.without_url()))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let is_taken = status.is_success();
        Ok(Outcome {
            status: Some(status.as_u16()),
            error: if is_taken {
                String::new()
            } else {
                format!("it answered {}", status.as_u16())
            },
            response: beginning(response).await,
            took: Duration::ZERO,
            retry_after: retry_after.filter(|_| !is_taken),
        })
    }
}

fn failed(error: &str) -> Outcome {
    Outcome {
        status: None,
        error: shortened(error, ERROR),
        response: String::new(),
        took: Duration::ZERO,
        retry_after: None,
    }
}

/// RFC 9110's seconds; a date is not heeded.
fn retry_after(response: &Response) -> Option<time::Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.trim();
    seconds
        .parse::<u32>()
        .ok()
        .map(|seconds| time::Duration::seconds(i64::from(seconds)))
}

/// The beginning of the answer as text. One that breaks off is what it is: its status counts.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < RESPONSE {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(chunk.get(..RESPONSE).unwrap_or(&chunk)),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(RESPONSE);
    String::from_utf8_lossy(&body).replace('\0', "\u{fffd}")
}

/// A fault with what is behind it, as the outermost of them says little.
fn told(fault: &(dyn StdError + 'static)) -> String {
    let mut text = fault.to_string();
    let mut inner = fault.source();
    while let Some(source) = inner {
        let next = source.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        inner = source.source();
    }
    text
}

fn shortened(text: &str, length: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(length).collect()
}
