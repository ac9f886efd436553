//! What the load runs on, and what it costs there.

use std::fs;

use anyhow::Result;
use comfy_table::{Table, presets};
use dev_stack::status::Status;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

/// Counts commits of the database.
pub struct Meter {
    connection: PgConnection,
    began: Instant,
    before: i64,
}

impl Meter {
    pub async fn connect(status: &Status) -> Result<Self> {
        let url = status
            .postgres
            .rsplit_once('/')
            .map_or_else(|| status.postgres.clone(), |(server, _)| format!("{server}/sc"));
        Ok(Self {
            connection: PgConnection::connect(&url).await?,
            began: Instant::now(),
            before: 0,
        })
    }

    pub async fn start(&mut self) -> Result<()> {
        (self.began, self.before) = (Instant::now(), self.commits().await?);
        Ok(())
    }

    pub async fn commits_per_second(&mut self) -> Result<f64> {
        let seconds = self.began.elapsed().as_secs_f64();
        Ok((self.commits().await? - self.before) as f64 / seconds)
    }

    /// Writing transactions: each takes a number, reads do not.
    async fn commits(&mut self) -> Result<i64> {
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?)
    }
}

/// Processor, cores, memory.
pub fn facts() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, name)| name.to_owned())
    });
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo")
        .lines()
        .next()
        .unwrap_or_default()
        .replace("MemTotal:", "")
        .trim()
        .to_owned();
    format!("{}, {cores} cores, {memory}", model.unwrap_or_default())
}

/// Resident memory of a process, in KiB.
pub fn resident(pid: i32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().split(' ').next()?.parse().ok()
}

/// Memory and processor time of each process.
pub fn processes(status: &Status) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_header(["process", "RSS MB", "CPU s"]);
    for (name, service) in &status.services {
        let read =
            |file: &str| fs::read_to_string(format!("/proc/{}/{file}", service.pid)).unwrap_or_default();
        let rss = resident(service.pid);
        let stat = read("stat");
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // Fields 14 and 15 of the whole line, in hundredths of a second.
        let ticks: f64 = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<f64>().ok())
            .sum();
        table.add_row([
            name.clone(),
            format!("{:.0}", rss.unwrap_or_default() / 1_024.0),
            format!("{:.1}", ticks / 100.0),
        ]);
    }
    table.to_string()
}
