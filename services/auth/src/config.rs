mod oidc;

use std::collections::{BTreeMap, HashMap};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use service_runtime::{Check, Faults};
use time::Duration;

pub use oidc::{OidcSettings, is_safe};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub bootstrap_admin_email: String,
    pub keys: KeySettings,
    pub service_secrets: HashMap<String, SecretString>,
    pub access: AccessSettings,
    pub sessions: SessionSettings,
    pub passwords: PasswordSettings,
    /// Whether the role admin of a new installation demands a second factor.
    pub admins_need_second_factor: bool,
    /// Identity providers by name.
    pub oidc: BTreeMap<String, OidcSettings>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct KeySettings {
    pub encryption_key: SecretString,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct AccessSettings {
    pub ttl_seconds: i32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SessionSettings {
    pub absolute_days: i64,
    pub idle_days: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct PasswordSettings {
    pub parallel: usize,
    pub queue: usize,
}

impl KeySettings {
    /// `None` when it is not 32 bytes in base64.
    pub fn bytes(&self) -> Option<[u8; 32]> {
        sealed::key(self.encryption_key.expose_secret())
    }
}

impl AccessSettings {
    pub fn ttl(self) -> Duration {
        Duration::seconds(i64::from(self.ttl_seconds))
    }
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        if self.keys.bytes().is_none() {
            faults.add("keys.encryption_key", "has to be 32 bytes in base64");
        }
        if !(60..=3_600).contains(&self.access.ttl_seconds) {
            faults.add("access.ttl_seconds", "has to be from 60 to 3600");
        }
        if self.sessions.idle_days < 1 || self.sessions.absolute_days < self.sessions.idle_days {
            faults.add(
                "sessions",
                "idle_days has to be at least 1 and absolute_days no less",
            );
        }
        for (name, provider) in &self.oidc {
            provider.check(name, faults);
        }
        for (name, secret) in &self.service_secrets {
            if secret.expose_secret().len() < 16 {
                faults.add(
                    &format!("service_secrets.{name}"),
                    "has to be 16 characters or more",
                );
            }
        }
    }
}
