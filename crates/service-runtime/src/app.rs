use serde::de::DeserializeOwned;
use sqlx::migrate::Migrator;

use crate::{Check, Runtime};

/// A process: what differs between them.
pub trait App: Sized + 'static {
    /// Name of the process and of its schema, in snake case; the binary has hyphens.
    const NAME: &'static str;
    /// Its commented default settings, TOML.
    const DEFAULTS: &'static str;
    type Settings: DeserializeOwned + Check + Send;
    /// Subcommands of its own.
    type Command: clap::Subcommand + Send;

    /// Its migrations; `None` for a process without a database.
    fn migrator() -> Option<Migrator>;

    /// The composition root: settings -> pools -> use cases -> gRPC, consumers, jobs.
    fn start(
        runtime: &mut Runtime,
        settings: Self::Settings,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Runs a subcommand of its own.
    fn command(
        _runtime: &mut Runtime,
        _settings: Self::Settings,
        _command: Self::Command,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }
}

/// For a process without subcommands of its own.
#[derive(Debug, clap::Subcommand)]
pub enum NoCommand {}
