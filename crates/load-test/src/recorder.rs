//! What was measured: latencies and what the server said.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer ones count as this long.
const MAX_MICROS: u64 = 60_000_000;

pub fn histogram() -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, MAX_MICROS, 3)?;
    histogram.auto(false);
    Ok(histogram)
}

pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(MAX_MICROS);
    histogram.saturating_record(micros);
}

/// Of one kind of request.
pub struct Tally {
    /// From when a request was due, or sent where nothing is due: what a user waits.
    pub latency: Histogram<u64>,
    /// Status and how often; 0 is a broken connection.
    pub statuses: BTreeMap<u16, u64>,
    /// Turns that did what the user wanted.
    pub done: u64,
    pub bytes: u64,
}

impl Tally {
    pub fn new() -> Result<Self> {
        Ok(Self {
            latency: histogram()?,
            statuses: BTreeMap::new(),
            done: 0,
            bytes: 0,
        })
    }

    pub fn add(&mut self, other: &Self) -> Result<()> {
        self.latency.add(&other.latency)?;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.done += other.done;
        self.bytes += other.bytes;
        Ok(())
    }
}

/// Milliseconds.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Latencies {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latencies {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: if histogram.is_empty() {
                0.0
            } else {
                histogram.max() as f64 / 1e3
            },
        }
    }
}
