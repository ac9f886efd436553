//! Settings that every process has; config.default.toml says what they mean.

mod transport;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use cache::RedisSettings;
use event_bus::BusSettings;
use peer_tls::TlsFiles;
use postgres::DatabaseSettings;
use rpc_client::RpcSettings;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use task_queue::WorkerSettings;
use telemetry::{LogSettings, TraceSettings};

use crate::{Faults, OperationLimits};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Development,
    Test,
    Production,
}

#[derive(Debug, Clone, Deserialize)]
pub struct RuntimeSettings {
    pub env: Environment,
    pub public_url: String,
    pub service_secret: SecretString,
    pub page_token_key: SecretString,
    pub allow_plain_text: bool,
    pub grpc: GrpcSettings,
    pub admin: Listen,
    pub database: DatabaseSettings,
    pub redis: RedisSettings,
    pub amqp: BusSettings,
    pub tasks: WorkerSettings,
    pub operations: OperationLimits,
    /// Where the other processes are.
    pub services: HashMap<String, String>,
    pub rpc: RpcSettings,
    pub tokens: TokenSettings,
    pub log: LogSettings,
    pub trace: TraceSettings,
    pub shutdown: ShutdownSettings,
    pub runtime: ThreadSettings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct GrpcSettings {
    pub listen: SocketAddr,
    /// PEM files; all three or none.
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
    pub tls_ca: PathBuf,
}

impl GrpcSettings {
    /// `None`: our processes talk in plain text.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let has_some = [&self.tls_cert, &self.tls_key, &self.tls_ca]
            .iter()
            .any(|file| !file.as_os_str().is_empty());
        has_some.then(|| TlsFiles {
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            tls_ca: self.tls_ca.clone(),
        })
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Listen {
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TokenSettings {
    pub issuer: String,
    pub audience: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ShutdownSettings {
    pub grace_seconds: u64,
    pub drain_seconds: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ThreadSettings {
    pub workers: usize,
}

/// Settings that can tell what is wrong with them, all at once.
pub trait Check {
    fn check(&self, faults: &mut Faults);
}

impl Check for RuntimeSettings {
    fn check(&self, faults: &mut Faults) {
        if self.rpc.timeout_seconds == 0 {
            faults.add("rpc.timeout_seconds", "has to be at least 1");
        }
        if !(1..=200).contains(&self.database.max_connections) {
            faults.add("database.max_connections", "has to be from 1 to 200");
        }
        let lanes = [self.tasks.high, self.tasks.default, self.tasks.low];
        if lanes.iter().any(|workers| !(1..=200).contains(workers)) {
            faults.add("tasks", "a lane has to have from 1 to 200 workers");
        }
        if !(3..=600).contains(&self.tasks.lease_seconds) {
            faults.add("tasks.lease_seconds", "has to be from 3 to 600");
        }
        let OperationLimits {
            soft_limit_seconds: soft,
            hard_limit_seconds: hard,
        } = self.operations;
        if soft == 0 || hard <= soft || hard > 86_400 {
            let wrong = "soft_limit_seconds has to be at least 1, hard_limit_seconds more than that and at most 86400";
            faults.add("operations", wrong);
        }
        if self.database.statement_cache == 0 {
            // Without a cache each query leaves a named statement behind on its connection.
            faults.add("database.statement_cache", "has to be at least 1");
        }
        if !(0.0..=1.0).contains(&self.trace.ratio) {
            faults.add("trace.ratio", "has to be from 0 to 1");
        }
        if self
            .public_url
            .parse::<http::Uri>()
            .is_ok_and(|url| url.host().is_none())
        {
            faults.add("public_url", "has to be a URL with a host");
        }
        for (name, url) in &self.services {
            if url.parse::<http::Uri>().map_or(true, |url| url.host().is_none()) {
                faults.add(&format!("services.{name}"), "has to be a URL with a host");
            }
        }
        transport::check(self, faults);
        if self.env == Environment::Production {
            let key = self.page_token_key.expose_secret();
            if key.len() < 32 || key == "development-only" {
                faults.add(
                    "page_token_key",
                    "has to be a secret of 32 characters or more in production",
                );
            }
            if self.public_url.starts_with("http://") {
                faults.warn(
                    "public_url",
                    "is not https: links in mails are not safe on their way",
                );
            }
        }
    }
}
