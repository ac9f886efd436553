//! Signing in with an identity provider: OpenID Connect Core 1.0, authorization code with PKCE (RFC 7636), the issuer in the answer
//! (RFC 9207), as RFC 9700 asks for it. We are the client of providers that the operator names, and of no others.

mod id_token;
mod provider;
mod wire;

use std::collections::BTreeMap;

use clock::Clock;
use problem::{Problem, codes};

pub use id_token::Claims;
pub use provider::{Authorization, Provider};

use crate::config::OidcSettings;

/// Why there is no sign-in. The client learns no more than the kind.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OidcError {
    #[error("the provider cannot be asked: {0}")]
    Unavailable(String),
    #[error("not accepted: {0}")]
    Refused(&'static str),
}

impl From<OidcError> for Problem {
    fn from(fault: OidcError) -> Self {
        match fault {
            OidcError::Unavailable(_) => Self::new(&codes::UNAVAILABLE)
                .with_source(fault)
                .with_retry_after(std::time::Duration::from_secs(5)),
            OidcError::Refused(_) => Self::new(&codes::PROVIDER_REFUSED).with_source(fault),
        }
    }
}

/// The providers of the settings.
pub struct Providers {
    all: BTreeMap<String, Provider>,
}

impl Providers {
    pub fn new(settings: &BTreeMap<String, OidcSettings>, clock: &Clock) -> anyhow::Result<Self> {
        let http = wire::client()?;
        let provider = |(name, settings): (&String, &OidcSettings)| {
            (
                name.clone(),
                Provider::new(name, settings.clone(), http.clone(), clock.clone()),
            )
        };
        Ok(Self {
            all: settings.iter().map(provider).collect(),
        })
    }

    pub fn all(&self) -> impl Iterator<Item = &Provider> {
        self.all.values()
    }

    pub fn get(&self, name: &str) -> Result<&Provider, Problem> {
        self.all.get(name).ok_or_else(|| Problem::new(&codes::NOT_FOUND))
    }
}
