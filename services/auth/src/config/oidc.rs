//! Identity providers that people may sign in with.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use service_runtime::Faults;
use url::{Host, Url};

/// One provider: whom it may let in, and as what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    #[serde(default)]
    pub display_name: String,
    pub issuer: String,
    pub client_id: String,
    /// Empty: a public client, which PKCE alone protects.
    #[serde(default)]
    pub client_secret: SecretString,
    /// Compared letter by letter.
    #[serde(deserialize_with = "list")]
    pub redirect_uris: Vec<String>,
    /// Of the addresses that it may vouch for; empty: any.
    #[serde(default, deserialize_with = "list")]
    pub allowed_domains: Vec<String>,
    /// Whether somebody without an account gets one.
    #[serde(default = "yes")]
    pub create_accounts: bool,
    /// A claim whose values tell the role of a new account; empty: they are students.
    #[serde(default)]
    pub role_claim: String,
    /// Value of the claim to role; never admin.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

impl OidcSettings {
    pub fn check(&self, name: &str, faults: &mut Faults) {
        let mut fault = |key: &str, what: &str| faults.add(&format!("oidc.{name}.{key}"), what);
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 32
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            fault(
                "",
                "its name has to be of lower-case letters, digits and underscores, 32 at most",
            );
        }
        let issuer = Url::parse(&self.issuer);
        if !issuer.is_ok_and(|url| is_safe(&url) && url.query().is_none() && url.fragment().is_none()) {
            fault("issuer", "has to be an https URL without a query");
        }
        if self.client_id.is_empty() {
            fault("client_id", "has to be set");
        }
        let is_target = |uri: &String| Url::parse(uri).is_ok_and(|url| url.fragment().is_none());
        if self.redirect_uris.is_empty() || !self.redirect_uris.iter().all(is_target) {
            fault("redirect_uris", "has to be one URL or more, without fragments");
        }
        if self.roles.values().any(|role| role == "admin") {
            fault("roles", "cannot make anybody admin");
        }
    }
}

/// Encrypted, or not leaving this machine.
pub fn is_safe(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(Host::Ipv6(ip))) => ip.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

fn yes() -> bool {
    true
}

/// A list, or its entries in one text, as the environment has it.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(entries) => entries,
        Written::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
