//! Which installation: the one of the environment, or the stack that runs in this checkout.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use dev_stack::status::Status;
use event_bus::{BusSettings, EventBus};
use sqlx::{Connection, PgConnection};

const NOTHING: &str = "set SC_DATABASE__URL and SC_AMQP__URL, or run the stack (make run)";

#[derive(Args)]
pub struct Target {
    /// The database, as a role that may see the schemas in question.
    #[arg(long, env = "SC_DATABASE__URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// The broker.
    #[arg(long, env = "SC_AMQP__URL", hide_env_values = true, global = true)]
    amqp_url: Option<String>,
    /// The folder of a stack that runs on this machine, for what is not given otherwise.
    #[arg(long, default_value = ".dev", global = true)]
    folder: PathBuf,
}

impl Target {
    pub async fn database(&self) -> Result<PgConnection> {
        let url = if let Some(url) = &self.database_url {
            url.clone()
        } else {
            let mut url = url::Url::parse(&self.stack()?.postgres).context("the stack's database")?;
            url.set_path("sc");
            url.to_string()
        };
        PgConnection::connect(&url)
            .await
            .context("the database is not reachable")
    }

    pub fn bus(&self) -> Result<EventBus> {
        let url = match &self.amqp_url {
            Some(url) => url.clone(),
            None => self.stack()?.amqp,
        };
        let settings = BusSettings {
            url: url.into(),
            prefetch: 1,
        };
        Ok(EventBus::new(settings, "scctl"))
    }

    /// Where the API is.
    pub fn gateway(&self) -> Result<String> {
        Ok(self.stack()?.gateway)
    }

    fn stack(&self) -> Result<Status> {
        Status::read(&self.folder).context(NOTHING)
    }
}
