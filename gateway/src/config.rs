use std::net::SocketAddr;
use std::path::PathBuf;

use contracts::RateClass;
use ipnet::IpNet;
use rate_limit::Limit;
use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub http: HttpSettings,
    pub live: LiveSettings,
    pub ratelimit: RateSettings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    pub header_timeout_seconds: u64,
    pub keep_alive_seconds: u64,
    pub body_timeout_seconds: u64,
    pub write_timeout_seconds: u64,
    pub request_timeout_seconds: u64,
    pub max_in_flight: usize,
    pub access_log_per_second: u64,
    /// Addresses or CIDR ranges.
    pub trusted_proxies: Vec<String>,
    pub cors_origins: Vec<String>,
    pub public_metrics: bool,
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct LiveSettings {
    pub max_sockets: usize,
    pub max_sockets_per_user: usize,
    pub ping_seconds: u64,
    pub silence_seconds: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RateSettings {
    pub enabled: bool,
    pub edge: Limit,
    pub api_read: Limit,
    pub api_write: Limit,
    pub login: Limit,
    pub register: Limit,
    pub password_reset: Limit,
    pub exam: Limit,
    pub progress: Limit,
}

impl RateSettings {
    pub fn of(&self, class: RateClass) -> Limit {
        match class {
            RateClass::ApiRead => self.api_read,
            RateClass::ApiWrite => self.api_write,
            RateClass::Login => self.login,
            RateClass::Register => self.register,
            RateClass::PasswordReset => self.password_reset,
            RateClass::Exam => self.exam,
            RateClass::Progress => self.progress,
        }
    }
}

impl HttpSettings {
    pub fn trusted_proxies(&self) -> Vec<IpNet> {
        self.trusted_proxies
            .iter()
            .filter_map(|text| network(text))
            .collect()
    }

    pub fn has_tls(&self) -> bool {
        !self.tls_cert.as_os_str().is_empty()
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        for proxy in &self.http.trusted_proxies {
            if network(proxy).is_none() {
                faults.add(
                    "http.trusted_proxies",
                    format!("{proxy} is neither an address nor a range"),
                );
            }
        }
        for origin in &self.http.cors_origins {
            if origin.parse::<http::HeaderValue>().is_err() || !origin.contains("://") {
                faults.add(
                    "http.cors_origins",
                    format!("{origin} is not an origin such as https://app.example.edu"),
                );
            }
        }
        if self.http.tls_cert.as_os_str().is_empty() != self.http.tls_key.as_os_str().is_empty() {
            faults.add("http.tls_cert", "tls_cert and tls_key go together");
        }
        for (name, value) in [
            ("http.max_connections", self.http.max_connections),
            ("http.max_connections_per_ip", self.http.max_connections_per_ip),
            ("http.max_in_flight", self.http.max_in_flight),
            ("live.max_sockets", self.live.max_sockets),
            ("live.max_sockets_per_user", self.live.max_sockets_per_user),
        ] {
            if value == 0 {
                faults.add(name, "has to be at least 1");
            }
        }
        if self.live.ping_seconds == 0 || self.live.silence_seconds <= self.live.ping_seconds {
            faults.add(
                "live.silence_seconds",
                "has to be longer than ping_seconds, and that at least 1",
            );
        }
        let limits = RateClass::ALL.map(|class| (class.as_str(), self.ratelimit.of(class)));
        for (name, limit) in limits.into_iter().chain([("edge", self.ratelimit.edge)]) {
            if limit.capacity == 0 || limit.refill == 0 || limit.period_seconds == 0 {
                faults.add(
                    &format!("ratelimit.{name}"),
                    "capacity, refill and period_seconds have to be at least 1",
                );
            }
        }
    }
}
