//! Second by second: processors, memory and commits, while the users are there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::Times;
use crate::cost::{Cost, Meter};
use crate::processes::Weigh;

/// Weighing the servers takes milliseconds: not each second.
const SECONDS_BETWEEN_WEIGHINGS: u64 = 5;

/// One second.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Its end, in seconds.
    pub at: f64,
    /// Busy cores by process.
    pub cores: BTreeMap<String, f64>,
    pub other_cores: f64,
    /// Bytes by process.
    pub memory: BTreeMap<String, u64>,
    pub writes_per_second: Option<f64>,
}

/// Until the end; with it the cost of the measured part.
pub async fn watch(
    meter: &mut Meter,
    what: &'static str,
    times: Times,
    answered: &AtomicU64,
) -> Result<(Vec<Point>, Cost)> {
    let all = (times.end - times.began).as_secs();
    let style = ProgressStyle::with_template("{prefix:24} {wide_bar} {pos}/{len} s {msg}")?;
    let progress = ProgressBar::new(all).with_style(style).with_prefix(what);
    let (mut points, mut measures) = (Vec::new(), false);
    let mut before = (
        Instant::now(),
        meter.processes().sample(Weigh::All),
        meter.writes().await,
        0,
    );
    let mut memory = before.1.memory.clone();
    for second in 1..=all {
        sleep_until(times.began + Duration::from_secs(second)).await;
        if !measures && Instant::now() >= times.warm {
            meter.start().await?;
            measures = true;
        }
        let weigh = if second % SECONDS_BETWEEN_WEIGHINGS == 0 {
            Weigh::All
        } else {
            Weigh::Single
        };
        let now = (
            Instant::now(),
            meter.processes().sample(weigh),
            meter.writes().await,
            answered.load(Ordering::Relaxed),
        );
        let seconds = (now.0 - before.0).as_secs_f64();
        let cores: BTreeMap<String, f64> = now
            .1
            .cpu
            .iter()
            .map(|(name, cpu)| {
                let earlier = before.1.cpu.get(name).copied().unwrap_or(*cpu);
                (name.clone(), (cpu - earlier).max(0.0) / seconds)
            })
            .collect();
        memory.extend(now.1.memory.clone());
        let busy = (now.1.machine - before.1.machine) / seconds;
        points.push(Point {
            at: (now.0 - times.began).as_secs_f64(),
            other_cores: (busy - cores.values().sum::<f64>()).max(0.0),
            cores,
            memory: memory.clone(),
            writes_per_second: now
                .2
                .zip(before.2)
                .map(|(now, before)| (now - before) as f64 / seconds),
        });
        progress.inc(1);
        progress.set_message(format!("{:.0}/s", (now.3 - before.3) as f64 / seconds));
        before = now;
    }
    sleep_until(times.end).await;
    let cost = meter.stop().await?;
    progress.finish_and_clear();
    Ok((points, cost))
}
