//! What travels between hosts, and whether it is encrypted on its way.

use std::net::IpAddr;
use std::str::FromStr;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::{Environment, RuntimeSettings};
use crate::Faults;

pub(super) fn check(settings: &RuntimeSettings, faults: &mut Faults) {
    check_tls(settings, faults);
    if settings.env != Environment::Production {
        return;
    }
    for (key, how) in plain_text(settings) {
        if settings.allow_plain_text {
            faults.warn(&key, format!("is plain text to another host ({how})"));
        } else {
            let what = format!("is plain text to another host: {how}, or set allow_plain_text");
            faults.add(&key, what);
        }
    }
}

/// The files of mutual TLS, and the addresses that have to go with them.
fn check_tls(settings: &RuntimeSettings, faults: &mut Faults) {
    let files = settings.grpc.tls_files();
    if let Some(files) = &files {
        if [&files.tls_cert, &files.tls_key, &files.tls_ca]
            .iter()
            .any(|file| file.as_os_str().is_empty())
        {
            faults.add("grpc.tls_cert", "tls_cert, tls_key and tls_ca go together");
        } else {
            for fault in files.faults() {
                faults.add(&format!("grpc.{}", fault.file), fault.what);
            }
        }
    }
    for (name, url) in &settings.services {
        let is_https = url.starts_with("https://");
        if is_https != files.is_some() && url.contains("://") {
            let what = if is_https {
                "begins with https, which needs grpc.tls_cert, tls_key and tls_ca"
            } else {
                "has to begin with https, as grpc.tls_cert is set"
            };
            faults.add(&format!("services.{name}"), what);
        }
    }
}

/// Settings that lead to another host in plain text, each with what to do about it.
fn plain_text(settings: &RuntimeSettings) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let postgres = |url: &str| {
        PgConnectOptions::from_str(url).is_ok_and(|options| {
            let is_local = options.get_socket().is_some() || is_local(options.get_host());
            !is_local
                && matches!(
                    options.get_ssl_mode(),
                    PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
                )
        })
    };
    let database = settings.database.url.expose_secret();
    if !database.is_empty() && postgres(database) {
        found.push(("database.url".to_owned(), "add sslmode=verify-full"));
    }
    for url in &settings.database.replica_urls {
        if postgres(url.expose_secret()) {
            found.push(("database.replica_urls".to_owned(), "add sslmode=verify-full"));
        }
    }
    let others = [
        (
            "redis.url",
            settings.redis.url.expose_secret(),
            &["rediss", "valkeys"][..],
            "use rediss",
        ),
        (
            "amqp.url",
            settings.amqp.url.expose_secret(),
            &["amqps"],
            "use amqps",
        ),
    ];
    for (key, url, encrypted, how) in others {
        if leaves_in_plain_text(url, encrypted) {
            found.push((key.to_owned(), how));
        }
    }
    for (name, url) in &settings.services {
        if leaves_in_plain_text(url, &["https"]) {
            found.push((format!("services.{name}"), "set grpc.tls_cert"));
        }
    }
    found.sort();
    found
}

fn leaves_in_plain_text(url: &str, encrypted: &[&str]) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    // `rediss-cluster` and the like.
    let scheme = url.scheme().split(['-', '+']).next().unwrap_or_default();
    !encrypted.contains(&scheme) && url.host_str().is_some_and(|host| !is_local(host))
}

fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.starts_with('/') || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_host_in_plain_text_is_seen() {
        for (url, encrypted, leaves) in [
            ("redis://127.0.0.1:6379", "rediss", false),
            ("redis://localhost:6379", "rediss", false),
            ("redis://[::1]:6379", "rediss", false),
            ("redis://redis:6379", "rediss", true),
            ("redis-cluster://:secret@redis:6379?node=redis-2", "rediss", true),
            ("rediss-cluster://:secret@redis:6379", "rediss", false),
            ("rediss://redis:6379", "rediss", false),
            ("amqp://guest:guest@10.0.0.7:5672/%2f", "amqps", true),
            ("amqps://guest:guest@10.0.0.7:5671/%2f", "amqps", false),
            ("http://exam:50051", "https", true),
            ("http://127.0.0.1.example:50051", "https", true),
            ("http://localhost.example:50051", "https", true),
            ("https://exam:50051", "https", false),
        ] {
            assert_eq!(leaves_in_plain_text(url, &[encrypted]), leaves, "{url}");
        }
    }
}
