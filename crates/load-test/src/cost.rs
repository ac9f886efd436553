//! What load costs: processor time by process, commits, and what the product itself counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use dev_stack::status::Status;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::client::Client;
use crate::processes::{GENERATOR, Processes, Sample, Weigh};

/// What an earlier load left to do (events, mails) is waited for this long before the next.
const SETTLING: Duration = Duration::from_mins(1);
/// Busy cores of a stack at rest.
const AT_REST: f64 = 0.15;

/// Metrics of the product that a report tells of, summed over processes.
const COUNTERS: &[(&str, &str)] = &[
    ("shared_answers_total{outcome=\"hit\"}", "shared answers, hit"),
    ("shared_answers_total{outcome=\"miss\"}", "shared answers, miss"),
    ("cache_requests_total{outcome=\"near_hit\"}", "cache, near hit"),
    ("cache_requests_total{outcome=\"hit\"}", "cache, hit"),
    ("cache_requests_total{outcome=\"miss\"}", "cache, miss"),
    ("requests_shed_total", "shed"),
    ("rate_limited_total", "limited"),
    ("rate_limit_local_total", "limits decided without Redis"),
    ("redis_failures_total", "Redis failures"),
    ("rpc_client_retries_total", "retries between processes"),
    ("grpc_server_seconds_count", "gRPC calls"),
    ("coalesced_batch_size_count", "coalesced batches"),
    ("coalesced_batch_size_sum", "coalesced writes"),
    ("outbox_events_total{outcome=\"published\"}", "events published"),
];

/// Between two moments.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cost {
    pub seconds: f64,
    /// Busy cores by process.
    pub cores: BTreeMap<String, f64>,
    /// Of everything on this machine that is not looked at: builds, browsers, the kernel's own.
    pub other_cores: f64,
    /// Microseconds of processor time for each turn that was done, by process; empty where nothing is counted.
    pub micros_each: BTreeMap<String, f64>,
    /// Transactions that wrote.
    pub writes_per_second: Option<f64>,
    /// All transactions, those that only read among them.
    pub commits_per_second: Option<f64>,
    /// Pages found in PostgreSQL's own memory.
    pub page_hit_ratio: Option<f64>,
    pub counters: BTreeMap<String, f64>,
}

impl Cost {
    #[must_use]
    pub fn each(mut self, turns: u64) -> Self {
        if turns > 0 {
            let micros = self.seconds * 1e6 / turns as f64;
            self.micros_each = self
                .cores
                .iter()
                .map(|(name, cores)| (name.clone(), cores * micros))
                .collect();
        }
        self
    }

    pub fn counter(&self, name: &str) -> f64 {
        self.counters.get(name).copied().unwrap_or_default()
    }

    /// Share of reads of what can be cached that did not reach a database. `None` when there were none.
    pub fn cache_hit_ratio(&self) -> Option<f64> {
        let at_the_edge = self.counter("shared answers, hit");
        let inside = self.counter("cache, near hit") + self.counter("cache, hit");
        let missed = self.counter("cache, miss");
        let all = at_the_edge + inside + missed;
        (all > 0.0).then(|| (at_the_edge + inside) / all)
    }
}

/// Reads all meters at two moments.
pub struct Meter {
    processes: Processes,
    database: Option<PgConnection>,
    admin: Vec<Client>,
    began: Instant,
    before: Readings,
}

#[derive(Default)]
struct Readings {
    sample: Sample,
    database: Option<Database>,
    counters: BTreeMap<String, f64>,
}

#[derive(Clone, Copy)]
struct Database {
    writes: i64,
    commits: i64,
    pages_hit: i64,
    pages_read: i64,
}

impl Meter {
    /// A database that cannot be reached is left out.
    pub async fn connect(status: &Status, folder: &Path, database: &str) -> Result<Self> {
        let url = database_url(status, database);
        let admin = status
            .services
            .values()
            .map(|service| Client::new(&service.admin));
        Ok(Self {
            processes: Processes::of(status, folder),
            database: PgConnection::connect(&url).await.ok(),
            admin: admin.collect::<Result<_>>()?,
            began: Instant::now(),
            before: Readings::default(),
        })
    }

    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    pub async fn start(&mut self) -> Result<()> {
        let (database, counters) = self.read().await?;
        // The clock and the processors last: what reading took is not part of what is measured.
        self.before = Readings {
            database,
            counters,
            sample: self.processes.sample(Weigh::Nothing),
        };
        self.began = Instant::now();
        Ok(())
    }

    pub async fn stop(&mut self) -> Result<Cost> {
        let seconds = self.began.elapsed().as_secs_f64();
        let sample = self.processes.sample(Weigh::Nothing);
        let (database, counters) = self.read().await?;
        let after = Readings {
            sample,
            database,
            counters,
        };
        let before = &self.before;
        let cores: BTreeMap<String, f64> = after
            .sample
            .cpu
            .iter()
            .map(|(name, cpu)| {
                let earlier = before.sample.cpu.get(name).copied().unwrap_or_default();
                (name.clone(), (cpu - earlier).max(0.0) / seconds)
            })
            .collect();
        let machine = (after.sample.machine - before.sample.machine) / seconds;
        let counters = after.counters.iter().map(|(name, count)| {
            let earlier = before.counters.get(name).copied().unwrap_or_default();
            (name.clone(), count - earlier)
        });
        let of_database = |read: fn(&Database) -> i64| {
            let (before, after) = (before.database.as_ref()?, after.database.as_ref()?);
            Some((read(after) - read(before)) as f64)
        };
        let (hit, read) = (of_database(|d| d.pages_hit), of_database(|d| d.pages_read));
        Ok(Cost {
            seconds,
            other_cores: (machine - cores.values().sum::<f64>()).max(0.0),
            micros_each: BTreeMap::new(),
            writes_per_second: of_database(|d| d.writes).map(|count| count / seconds),
            commits_per_second: of_database(|d| d.commits).map(|count| count / seconds),
            page_hit_ratio: hit
                .zip(read)
                .filter(|(hit, read)| hit + read > 0.0)
                .map(|(hit, read)| hit / (hit + read)),
            counters: counters.filter(|(_, count)| *count > 0.0).collect(),
            cores,
        })
    }

    /// Waits until the stack has nothing left to do.
    pub async fn settle(&mut self) {
        let began = Instant::now();
        while self.work_left().await > AT_REST && began.elapsed() < SETTLING {}
    }

    /// Busy cores of all processes but this one, now.
    async fn work_left(&self) -> f64 {
        let began = Instant::now();
        let before = self.processes.sample(Weigh::Nothing);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = self.processes.sample(Weigh::Nothing);
        let spent: f64 = after
            .cpu
            .iter()
            .filter(|(name, _)| *name != GENERATOR)
            .map(|(name, cpu)| cpu - before.cpu.get(name).copied().unwrap_or(*cpu))
            .sum();
        spent / began.elapsed().as_secs_f64()
    }

    /// Transactions that wrote since the database was made.
    pub async fn writes(&mut self) -> Option<i64> {
        let database = read_database(self.database.as_mut()?).await.ok()?;
        Some(database.writes)
    }

    async fn read(&mut self) -> Result<(Option<Database>, BTreeMap<String, f64>)> {
        let database = match &mut self.database {
            Some(connection) => Some(read_database(connection).await?),
            None => None,
        };
        let mut counters = BTreeMap::new();
        for admin in &self.admin {
            // A process that is being restarted has nothing to say.
            let text = admin.text("/metrics/prometheus").await.unwrap_or_default();
            add_counters(&mut counters, &text);
        }
        Ok((database, counters))
    }
}

/// The superuser's URL of the product's database, in which the load generator only reads.
pub fn database_url(status: &Status, database: &str) -> String {
    match status.postgres.rsplit_once('/') {
        Some((server, _)) => format!("{server}/{database}"),
        None => status.postgres.clone(),
    }
}

async fn read_database(connection: &mut PgConnection) -> Result<Database> {
    let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, xact_commit, blks_hit, blks_read
               FROM pg_stat_database WHERE datname = current_database()";
    let (writes, commits, pages_hit, pages_read) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok(Database {
        writes,
        commits,
        pages_hit,
        pages_read,
    })
}

/// Sums what a process says of our counters. Labels that a counter's name here does not mention are summed over.
fn add_counters(counters: &mut BTreeMap<String, f64>, text: &str) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        for (wanted, shown) in COUNTERS {
            let (wanted_name, wanted_label) = wanted.split_once('{').unwrap_or((wanted, ""));
            if name == wanted_name && labels.contains(wanted_label.trim_end_matches('}')) {
                *counters.entry((*shown).to_owned()).or_default() += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_processes_and_labels() {
        let mut counters = BTreeMap::new();
        for text in [
            "# TYPE requests_shed_total counter\nrequests_shed_total 2\ncache_requests_total{outcome=\"hit\"} 3\n",
            "cache_requests_total{service=\"x\",outcome=\"hit\"} 4\ncache_requests_total{outcome=\"near_hit\"} 1\n\
             rate_limited_total{class=\"login\"} 1\nrate_limited_total{class=\"exam\"} 2\nunknown 1\nno number\n",
        ] {
            add_counters(&mut counters, text);
        }
        let expected = [
            ("cache, hit", 7.0),
            ("cache, near hit", 1.0),
            ("limited", 3.0),
            ("shed", 2.0),
        ];
        assert_eq!(
            counters,
            expected.map(|(name, count)| (name.to_owned(), count)).into()
        );
    }
}
