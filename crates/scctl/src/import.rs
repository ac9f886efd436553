use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::output::{self, Output};
use crate::target::Target;

/// Often at first, as most files are done in seconds; later as often as the limit of requests allows.
const OFTEN: (usize, Duration) = (40, Duration::from_millis(300));
const SELDOM: Duration = Duration::from_secs(1);
/// As the API takes it.
const MAX_BYTES: usize = 10 << 20;

#[derive(Args)]
pub struct Api {
    /// Where the API is; the stack of this checkout otherwise.
    #[arg(long, env = "SCCTL_URL", global = true)]
    url: Option<String>,
    /// The service account that it is done as.
    #[arg(long, env = "SCCTL_CLIENT_ID", global = true)]
    client_id: Option<String>,
    #[arg(long, env = "SCCTL_CLIENT_SECRET", hide_env_values = true, global = true)]
    client_secret: Option<String>,
    /// Instead of a service account: somebody's access token.
    #[arg(long, env = "SCCTL_ACCESS_TOKEN", hide_env_values = true, global = true)]
    access_token: Option<String>,
}

#[derive(Subcommand)]
pub enum Action {
    /// Import users from CSV, Moodle's or OneRoster's files.
    Users {
        file: PathBuf,
        /// Report what would be, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Send no mails to set a password.
        #[arg(long)]
        no_invitations: bool,
    },
}

/// The API as who asks it.
struct Caller {
    http: Client,
    base: String,
    token: String,
}

pub async fn run(target: &Target, api: &Api, output: Output, action: Action) -> Result<()> {
    let Action::Users {
        file,
        dry_run,
        no_invitations,
    } = action;
    let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    ensure!(
        bytes.len() <= MAX_BYTES,
        "a file of more than 10 MiB has to be split"
    );
    let caller = Caller::sign_in(target, api).await?;
    let body = json!({"content_base64": STANDARD.encode(bytes), "send_invitations": !no_invitations});
    let path = format!("/users/import?dry_run={dry_run}");
    let begun = caller
        .send(caller.http.post(caller.at(&path)).json(&body))
        .await?;
    let id = begun["id"].as_str().context("an operation without an id")?;
    let over = caller.wait(id).await?;
    if over["state"] != "succeeded" {
        bail!(
            "the import failed: {}",
            over["fault"].as_str().unwrap_or_default()
        );
    }
    let report = caller
        .send(caller.http.get(caller.at(&format!("/operations/{id}/result"))))
        .await?;
    match output {
        Output::Json => output::done(output, "", &report),
        Output::Table => print(&report),
    }
}

fn print(report: &Value) -> Result<()> {
    let columns = ["line", "email", "code", "detail"];
    let refused: Vec<&Value> = report["lines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|line| line["outcome"] == "refused")
        .collect();
    if !refused.is_empty() {
        output::rows(Output::Table, &columns, &refused)?;
    }
    let counts = ["created", "updated", "unchanged", "deactivated", "refused"]
        .map(|name| format!("{} {name}", report[name]));
    let dry = if report["dry_run"] == true {
        "would be: "
    } else {
        ""
    };
    output::done(Output::Table, &format!("{dry}{}", counts.join(", ")), report)
}

impl Caller {
    async fn sign_in(target: &Target, api: &Api) -> Result<Self> {
        let base = match &api.url {
            Some(url) => url.clone(),
            None => target.gateway().context("set SCCTL_URL")?,
        };
        let mut caller = Self {
            http: Client::builder().timeout(Duration::from_mins(1)).build()?,
            base: format!("{}/api/v1", base.trim_end_matches('/')),
            token: String::new(),
        };
        caller.token = match (&api.access_token, &api.client_id, &api.client_secret) {
            (Some(token), ..) => token.clone(),
            (None, Some(id), Some(secret)) => {
                let body = json!({"client_id": id, "client_secret": secret});
                let asked = caller.http.post(caller.at("/auth/token")).json(&body);
                let answer = caller.send(asked).await.context("signing in")?;
                let token = answer["access_token"].as_str();
                token.context("an answer without a token")?.to_owned()
            }
            _ => bail!("set SCCTL_CLIENT_ID and SCCTL_CLIENT_SECRET of a service account with users:write"),
        };
        Ok(caller)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value> {
        let request = if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        };
        let again = request.try_clone();
        let mut answer = request.send().await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS
            && let Some(again) = again
        {
            let after = answer.headers().get("retry-after");
            let after = after.and_then(|text| text.to_str().ok()?.parse().ok());
            sleep(Duration::from_secs(after.unwrap_or(1))).await;
            answer = again.send().await?;
        }
        let status = answer.status();
        let body: Value = answer.json().await.context("an answer that is no JSON")?;
        ensure!(
            status.is_success(),
            "{status}: {} ({})",
            body["detail"].as_str().unwrap_or_default(),
            body["code"].as_str().unwrap_or_default()
        );
        Ok(body)
    }

    /// Shows how far it is until it is over.
    async fn wait(&self, id: &str) -> Result<Value> {
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
            "{wide_bar} {pos}/{len} lines, {per_sec}, {elapsed}",
        )?);
        for asked in 0_usize.. {
            let operation = self
                .send(self.http.get(self.at(&format!("/operations/{id}"))))
                .await?;
            bar.set_length(operation["total"].as_u64().unwrap_or_default());
            bar.set_position(operation["done"].as_u64().unwrap_or_default());
            if operation["state"] != "running" {
                bar.finish();
                return Ok(operation);
            }
            sleep(if asked < OFTEN.0 { OFTEN.1 } else { SELDOM }).await;
        }
        bail!("it never ended")
    }
}
