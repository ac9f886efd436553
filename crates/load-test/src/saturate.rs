//! Closed-loop rounds of workloads, interleaved: the speed of a machine drifts, so that what is compared is measured in turns.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::action::Workload;
use crate::client::Client;
use crate::closed::{self, Plan, Round};
use crate::cost::Meter;
use crate::processes::GENERATOR;
use crate::school::School;
use crate::yardstick::Yardstick;

/// All rounds of a workload.
#[derive(Debug, Clone, Serialize)]
pub struct Saturation {
    pub workload: Workload,
    pub name: &'static str,
    pub what: &'static str,
    pub rounds: Vec<Round>,
    /// The round of the median rate.
    pub median: Round,
    /// Processor time that each turn took after its answer: events, projections, mails.
    pub aftermath_micros_each: f64,
    /// What the older design did, in requests a second.
    pub reference: Option<f64>,
}

pub struct Saturator<'a> {
    pub client: &'a Client,
    pub school: &'a Arc<School>,
    pub meter: &'a mut Meter,
    pub folder: &'a Path,
    pub yardstick: Yardstick,
}

impl Saturator<'_> {
    pub async fn run(
        &mut self,
        workloads: &[Workload],
        rounds: usize,
        plan: Plan,
    ) -> Result<(Vec<Saturation>, Vec<f64>)> {
        let style = ProgressStyle::with_template("{msg:36} {wide_bar} {pos}/{len} {eta}")?;
        let progress = ProgressBar::new((rounds * workloads.len()) as u64).with_style(style);
        progress.enable_steady_tick(Duration::from_millis(200));
        let mut measured: Vec<(Workload, Vec<Round>, f64)> = workloads
            .iter()
            .map(|workload| (*workload, Vec::new(), 0.0))
            .collect();
        let mut yardstick = vec![self.yardstick.measure().await?];
        for number in 1..=rounds {
            for (workload, rounds, aftermath) in &mut measured {
                progress.set_message(format!("{}, round {number}", workload.name()));
                self.meter.settle().await;
                let round = closed::measure(self.client, self.school, self.meter, *workload, plan).await?;
                *aftermath += self.aftermath(&round).await?;
                rounds.push(round);
                self.school.write(self.folder)?;
                progress.inc(1);
            }
            yardstick.push(self.yardstick.measure().await?);
        }
        progress.finish_and_clear();
        Ok((measured.into_iter().filter_map(summed_up).collect(), yardstick))
    }

    /// Microseconds of work that each turn of a round left behind.
    async fn aftermath(&mut self, round: &Round) -> Result<f64> {
        self.meter.start().await?;
        self.meter.settle().await;
        let cost = self.meter.stop().await?;
        let ours = cost.cores.iter().filter(|(name, _)| *name != GENERATOR);
        let spent = ours.map(|(_, cores)| cores).sum::<f64>() * cost.seconds;
        let turns = round.per_second * round.cost.seconds;
        Ok(if turns > 0.0 { spent * 1e6 / turns } else { 0.0 })
    }
}

fn summed_up((workload, rounds, aftermath): (Workload, Vec<Round>, f64)) -> Option<Saturation> {
    let mut by_rate: Vec<&Round> = rounds.iter().collect();
    by_rate.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let median = (*by_rate.get(by_rate.len() / 2)?).clone();
    Some(Saturation {
        workload,
        name: workload.name(),
        what: workload.what(),
        median,
        aftermath_micros_each: aftermath / rounds.len() as f64,
        reference: workload.reference(),
        rounds,
    })
}

/// For the terminal.
pub fn table(all: &[Saturation]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
        "workload",
        "a second",
        "rounds",
        "older",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "not done",
        "writes/s",
        "answer B",
        "us CPU each",
        "of that",
        "later us",
        "generator",
        "others",
    ]);
    for one in all {
        let round = &one.median;
        let cost = &round.cost;
        let answers: u64 = round.statuses.values().sum();
        let failed = round
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .fold(String::new(), |mut text, (status, count)| {
                let _ = write!(text, "{status}: {:.1} % ", 100.0 * *count as f64 / answers as f64);
                text
            });
        let mut parts: Vec<(&String, &f64)> = cost
            .micros_each
            .iter()
            .filter(|(name, _)| *name != GENERATOR)
            .collect();
        parts.sort_by(|a, b| b.1.total_cmp(a.1));
        let most: Vec<String> = parts
            .iter()
            .take(4)
            .filter(|(_, micros)| **micros >= 1.0)
            .map(|(name, micros)| format!("{name} {micros:.0}"))
            .collect();
        let rates: Vec<String> = one
            .rounds
            .iter()
            .map(|round| format!("{:.0}", round.per_second))
            .collect();
        table.add_row([
            one.name.to_owned(),
            format!("{:.0}", round.per_second),
            rates.join(" "),
            one.reference
                .map_or_else(String::new, |older| format!("{:.1} x", round.per_second / older)),
            format!("{:.1}", round.latency_ms.p50),
            format!("{:.1}", round.latency_ms.p95),
            format!("{:.1}", round.latency_ms.p99),
            failed,
            cost.writes_per_second
                .map_or_else(String::new, |writes| format!("{writes:.0}")),
            format!("{:.0}", round.bytes_per_answer),
            format!("{:.0}", parts.iter().map(|(_, micros)| **micros).sum::<f64>()),
            most.join("\n"),
            format!("{:.0}", one.aftermath_micros_each),
            format!("{:.2}", cost.cores.get(GENERATOR).copied().unwrap_or_default()),
            format!("{:.2}", cost.other_cores),
        ]);
    }
    table.to_string()
}
