//! What runs, for people and for programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};

use crate::process::Known;

/// `.dev/status.json`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub gateway: String,
    pub services: BTreeMap<String, Service>,
    pub postgres: String,
    pub redis: String,
    pub amqp: String,
    pub amqp_management: String,
    /// The process that keeps the services running.
    pub supervisor: Known,
    /// It is about to end.
    #[serde(default)]
    pub stopping: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub grpc: String,
    pub admin: String,
    pub pid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Known>,
}

const FILE: &str = "status.json";

impl Status {
    /// What the file says, as long as its supervisor lives.
    pub fn read(folder: &Path) -> Option<Self> {
        let status = Self::last(folder)?;
        status.supervisor.is_alive().then_some(status)
    }

    /// As [`Status::read`], unless it is about to end.
    pub fn running(folder: &Path) -> Option<Self> {
        Self::read(folder).filter(|status| !status.stopping)
    }

    /// What the file says, also when a killed supervisor left it behind.
    pub fn last(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        // Whole or not at all: somebody may read at any moment.
        let partial = folder.join("status.json.partial");
        fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
        Ok(fs::rename(partial, folder.join(FILE))?)
    }

    pub fn remove(folder: &Path) {
        let _ = fs::remove_file(folder.join(FILE));
    }

    pub fn table(&self, folder: &Path) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        let gateway = &self.gateway;
        for (name, value) in [
            ("API", format!("{gateway}/api/v1")),
            ("API document, to try out", format!("{gateway}/docs")),
            ("Mails", folder.join("mail").display().to_string()),
            ("Logs", folder.join("log").display().to_string()),
            (
                "RabbitMQ (guest, guest)",
                self.amqp_management.replace("guest:guest@", ""),
            ),
            ("Student", "student@demo.test   demo-demo-demo".to_owned()),
            ("Teacher", "teacher@demo.test   demo-demo-demo".to_owned()),
            ("Admin", "admin@demo.test     demo-demo-demo".to_owned()),
        ] {
            table.add_row([name.to_owned(), value]);
        }
        for (name, service) in &self.services {
            table.add_row([
                format!("{name} (pid {})", service.pid),
                format!("{} {}", service.admin, service.grpc),
            ]);
        }
        format!("{table}\n\nTry:  curl -s '{gateway}/api/v1/courses?q=istanbul'\n")
    }
}
