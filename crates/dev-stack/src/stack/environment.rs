//! What each process is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{PROCESSES, SERVICES, identifier};
use crate::ports;
use crate::process::Known;
use crate::secrets::Secrets;
use crate::servers::Servers;
use crate::status::{Service, Status};

const GATEWAY_PORT: u16 = 8080;

/// Ports of all processes.
pub struct Addresses {
    grpc: BTreeMap<&'static str, u16>,
    admin: BTreeMap<&'static str, u16>,
    http: u16,
}

impl Addresses {
    pub fn choose() -> Result<Self> {
        let http = match (GATEWAY_PORT..GATEWAY_PORT + 100).find(|port| ports::is_free(*port)) {
            Some(port) => port,
            None => ports::free(None)?,
        };
        let choose =
            |names: &[&'static str]| names.iter().map(|name| Ok((*name, ports::free(None)?))).collect();
        let grpc: Result<BTreeMap<_, _>> = choose(SERVICES);
        let admin: Result<BTreeMap<_, _>> = choose(PROCESSES);
        Ok(Self {
            grpc: grpc?,
            admin: admin?,
            http,
        })
    }

    pub fn admin(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.admin.get(name).copied().unwrap_or_default())
    }

    fn grpc(&self, name: &str) -> Option<String> {
        self.grpc.get(name).map(|port| format!("127.0.0.1:{port}"))
    }

    pub fn gateway_address(&self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    fn gateway(&self) -> String {
        format!("http://{}", self.gateway_address())
    }

    pub fn status(&self, servers: &Servers, supervisor: Known) -> Status {
        let services = PROCESSES.iter().map(|name| {
            let grpc = self
                .grpc(name)
                .map(|address| format!("http://{address}"))
                .unwrap_or_default();
            let admin = format!("http://{}", self.admin(name));
            (
                (*name).to_owned(),
                Service {
                    grpc,
                    admin,
                    pid: 0,
                    process: None,
                },
            )
        });
        Status {
            gateway: self.gateway(),
            services: services.collect(),
            postgres: servers.postgres.clone(),
            redis: servers.redis.clone(),
            amqp: servers.amqp.clone(),
            amqp_management: servers.amqp_management.clone(),
            supervisor,
            stopping: false,
        }
    }
}

/// What one process is told beside the environment of this one, and what of that it is not told.
#[derive(Debug, Clone)]
pub struct Environment {
    set: Vec<(String, String)>,
    withheld: Vec<String>,
}

impl Environment {
    pub fn give_to(&self, command: &mut Command) {
        for name in &self.withheld {
            command.env_remove(name);
        }
        command.envs(self.set.iter().cloned());
    }
}

/// The caller's settings that are another process's alone: a process refuses to start with settings that it does not know. What no
/// process knows is given to all, and they say so.
fn withheld(root: &Path, name: &str, given: impl Iterator<Item = String>) -> Result<Vec<String>> {
    let sections = PROCESSES
        .iter()
        .map(|process| {
            let folder = if *process == "gateway" {
                root.join("gateway")
            } else {
                root.join("services").join(process)
            };
            let file = folder.join("config.default.toml");
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            Ok((*process, first_keys(&text)))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(given
        .filter(|variable| {
            let Some(key) = variable.strip_prefix("SC_") else {
                return false;
            };
            let first = key.split("__").next().unwrap_or(key).to_lowercase();
            let knows = |(_, keys): &&(&str, BTreeSet<String>)| keys.contains(&first);
            let mut knowing = sections
                .iter()
                .filter(knows)
                .map(|(process, _)| *process)
                .peekable();
            knowing.peek().is_some() && !knowing.any(|process| process == name)
        })
        .collect())
}

/// The sections of a configuration file, and its keys outside of any.
fn first_keys(text: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut in_section = false;
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            in_section = true;
            keys.extend(section.split(['.', ']']).next().map(str::to_owned));
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !in_section) {
            keys.insert(key.to_owned());
        }
    }
    keys
}

/// The environment of one process. What the caller has set wins.
pub fn environment(
    name: &str,
    root: &Path,
    folder: &Path,
    servers: &Servers,
    database: &url::Url,
    secrets: &Secrets,
    addresses: &Addresses,
) -> Result<Environment> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut put = |key: &str, value: String| all.push((key.to_owned(), value));
    put("SC_ENV", "development".into());
    put("SC_ADMIN__LISTEN", addresses.admin(name));
    put("SC_REDIS__URL", servers.redis.clone());
    put("SC_AMQP__URL", servers.amqp.clone());
    put("SC_PUBLIC_URL", addresses.gateway());
    put("SC_PAGE_TOKEN_KEY", secrets.get("page_token_key").to_owned());
    put(
        "SC_SERVICE_SECRET",
        secrets.get(&format!("{name}_secret")).to_owned(),
    );
    put("SC_LOG__FORMAT", "json".into());
    // As the image has it (deploy/Dockerfile).
    put("MIMALLOC_PURGE_DELAY", "100".into());
    for service in SERVICES {
        let url = addresses
            .grpc(service)
            .map(|address| format!("http://{address}"))
            .unwrap_or_default();
        put(
            &format!("SC_SERVICES__{}", identifier(service).to_uppercase()),
            url,
        );
    }
    if let Some(listen) = addresses.grpc(name) {
        put("SC_GRPC__LISTEN", listen);
        let mut url = database.clone();
        // Setting a user or a password fails only for URLs without a host.
        let _ = url.set_username(&format!("sc_{}", identifier(name)));
        let _ = url.set_password(Some(secrets.get(&format!("{name}_password"))));
        put("SC_DATABASE__URL", url.to_string());
    }
    match name {
        "gateway" => put("SC_HTTP__LISTEN", addresses.gateway_address()),
        "auth" => {
            put(
                "SC_KEYS__ENCRYPTION_KEY",
                secrets.get("encryption_key").to_owned(),
            );
            for process in PROCESSES.iter().filter(|process| **process != "auth") {
                let secret = secrets.get(&format!("{process}_secret")).to_owned();
                put(
                    &format!("SC_SERVICE_SECRETS__{}", identifier(process).to_uppercase()),
                    secret,
                );
            }
        }
        "notification" => {
            put(
                "SC_KEYS__ENCRYPTION_KEY",
                secrets.get("webhook_encryption_key").to_owned(),
            );
            // Receivers of a developer are on this machine.
            put("SC_WEBHOOKS__ALLOW_INSECURE", "true".into());
            put("SC_MAIL__TRANSPORT", "file".into());
            put("SC_MAIL__DIRECTORY", folder.join("mail").display().to_string());
        }
        "reporting" => put(
            "SC_STORAGE__LOCATION",
            folder.join("objects").display().to_string(),
        ),
        _ => {}
    }
    all.retain(|(key, _)| std::env::var_os(key).is_none());
    let given = std::env::vars_os().filter_map(|(key, _)| key.into_string().ok());
    Ok(Environment {
        set: all,
        withheld: withheld(root, name, given)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_one_process_are_not_given_to_the_others() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let given = [
            "SC_RATELIMIT__EDGE__REFILL",
            "SC_GRACE_SECONDS",
            "SC_LOG__LEVEL",
            "SC_TYPO",
            "HOME",
        ];
        let of = |name| withheld(&root, name, given.iter().map(ToString::to_string)).unwrap();
        assert_eq!(of("gateway"), ["SC_GRACE_SECONDS"]);
        assert_eq!(of("exam"), ["SC_RATELIMIT__EDGE__REFILL"]);
        assert_eq!(of("auth"), ["SC_RATELIMIT__EDGE__REFILL", "SC_GRACE_SECONDS"]);
    }
}
