use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;

use super::Record;
use crate::process::{self, Known, start_detached, tail};
use crate::{http, ports, wait_until};

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// No busy waiting. What was on its way from one queue to another when the node died is sent again after ten seconds, not three minutes.
const ERLANG_ARGUMENTS: &str = "+sbwt none -rabbit dead_letter_worker_publisher_confirm_timeout 10000";

const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// A RabbitMQ node of our own, with management.
#[derive(Debug, Clone)]
pub struct PrivateRabbit {
    pub process: Known,
    folder: PathBuf,
    port: u16,
    management_port: u16,
}

impl PrivateRabbit {
    /// Starts it and waits.
    pub fn start(folder: &Path) -> Result<Self> {
        let server = Self::begin(folder)?;
        server.wait()?;
        Ok(server)
    }

    /// Starts it without waiting: it takes some seconds.
    pub fn begin(folder: &Path) -> Result<Self> {
        Self::stop_leftover(folder);
        ensure!(Path::new(SERVER).exists(), "RabbitMQ is not installed");
        let home = folder.join("home");
        fs::create_dir_all(&home)?;
        let cookie = home.join(".erlang.cookie");
        if !cookie.exists() {
            fs::write(&cookie, "private-to-this-folder")?;
            fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        }
        // The ports from before: clients come back to them. One that was killed just now may still hold them for a moment.
        let before = Record::read(folder);
        if let Some(before) = &before {
            let _ = wait_until("the port is free", PORT_PATIENCE, || ports::is_free(before.port));
        }
        let port = ports::free(before.map(|record| record.port))?;
        // Its data has its name, which outlives the port: under another one it would begin with nothing. That of its first port, as two
        // nodes of one name on a machine would meet at epmd.
        let name = name_of_data(&folder.join("data")).unwrap_or_else(|| format!("sc{port}@localhost"));
        let management_port = ports::free(before.and_then(|record| record.management_port))?;
        let (dist_port, epmd_port) = (ports::free(None)?, ports::free(None)?);
        let file = |name: &str, content: &str| fs::write(folder.join(name), content);
        file("enabled_plugins", "[rabbitmq_management].\n")?;
        file("env.conf", "")?;
        file(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp.default = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\n\
                 management.tcp.port = {management_port}\ndisk_free_limit.absolute = 64MB\nlog.console.level = warning\n"
            ),
        )?;
        let mut command = process::behind("5");
        command.arg(SERVER);
        command
            .env("HOME", &home)
            .env("RABBITMQ_NODENAME", name)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", dist_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("env.conf"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG_ARGUMENTS)
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        let child = start_detached(&mut command, &folder.join("log"))?;
        let process = Known::of(child.id())?;
        let record = Record {
            process,
            port,
            management_port: Some(management_port),
        };
        record.write(folder)?;
        Ok(Self {
            process,
            folder: folder.to_owned(),
            port,
            management_port,
        })
    }

    /// Waits until the node says itself that its listener is up.
    pub fn wait(&self) -> Result<()> {
        let address = format!("127.0.0.1:{}", self.management_port);
        let path = format!("/api/health/checks/port-listener/{}", self.port);
        let basic = STANDARD.encode("guest:guest");
        wait_until("RabbitMQ answers", Duration::from_mins(1), || {
            http::status(&address, &path, Some(&basic)) == Some(200)
        })
        .with_context(|| tail(&self.folder.join("log")))
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    pub fn management_url(&self) -> String {
        format!("http://guest:guest@127.0.0.1:{}", self.management_port)
    }

    /// Closes its queues and ends, with everything that it started.
    pub fn stop(&self) {
        self.thaw();
        stop(Some(self.process), &self.folder);
    }

    pub fn kill9(&self) {
        process::kill_all(&processes(&self.folder));
    }

    /// Stops it in the middle of whatever it does; its sockets stay open.
    pub fn freeze(&self) {
        for process in processes(&self.folder) {
            process.signal(Signal::SIGSTOP);
        }
    }

    pub fn thaw(&self) {
        thaw(&self.folder);
    }

    pub(super) fn stop_leftover(folder: &Path) {
        thaw(folder);
        stop(Record::read(folder).map(|record| record.process), folder);
    }
}

/// The script hands SIGTERM on to the node, which closes its queues. Without the script the node is told itself. The port
/// mapper (epmd) left its process group, and nobody else would end it.
fn stop(script: Option<Known>, folder: &Path) {
    let patience = Duration::from_secs(30);
    if let Some(script) = script {
        script.stop(Signal::SIGTERM, patience);
    }
    let rest = processes(folder);
    for process in &rest {
        process.signal(Signal::SIGTERM);
    }
    for process in &rest {
        process.stop(Signal::SIGTERM, patience);
    }
    process::kill_all(&processes(folder));
}

fn thaw(folder: &Path) {
    for process in processes(folder) {
        process.signal(Signal::SIGCONT);
    }
}

/// The script, the node, its port programs and the port mapper: they have the folder's home.
fn processes(folder: &Path) -> Vec<Known> {
    let home = [b"HOME=".as_slice(), folder.join("home").as_os_str().as_bytes()].concat();
    process::find(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == home)
    })
}

/// The name of the node that left data in a folder.
fn name_of_data(data: &Path) -> Option<String> {
    let names = fs::read_dir(data)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.into_iter().find(|name| name.ends_with("@localhost"))
}
