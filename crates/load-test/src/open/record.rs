//! What users met with, from their requests to the sums.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::{Outcome, Point, Times};
use crate::action::{Action, Kind};
use crate::cost::Cost;
use crate::processes::Processes;
use crate::recorder::{Latencies, Tally, histogram, record};

/// What became of a request.
pub struct Happened {
    pub kind: Kind,
    pub action: Action,
    pub due: Instant,
    /// When this generator took it up.
    pub began: Instant,
    /// When it had a connection to send it on.
    pub sent: Instant,
    pub done: Instant,
    /// 0: none came.
    pub status: u16,
    pub bytes: usize,
    pub is_reopened: bool,
}

/// Of the users of a thread, or of all.
pub struct Record {
    tallies: BTreeMap<(Kind, Action), Tally>,
    shed: Tally,
    late: Histogram<u64>,
    seconds: Vec<OneSecond>,
    /// Due in the measurement; sent, and without an answer so far.
    under_way: BTreeMap<(Kind, Action), u64>,
    /// Due in the measurement, and never sent.
    given_up: BTreeMap<(Kind, Action), u64>,
    reopened: u64,
    pub ran_out: bool,
    /// Of all threads, for the progress bar.
    answered: Arc<AtomicU64>,
}

/// What was answered in one second.
struct OneSecond {
    latency: Histogram<u32>,
    done: u64,
    shed: u64,
    failed: u64,
}

/// Requests of one sort, for the report.
#[derive(Debug, Clone, Serialize)]
pub struct Requests {
    pub name: String,
    pub due: u64,
    pub done: u64,
    pub unanswered: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub latency_ms: Latencies,
    /// Quantile and milliseconds, for the curve.
    pub curve: Vec<(f64, f64)>,
}

/// A second, for the report.
#[derive(Debug, Clone, Serialize)]
pub struct Second {
    pub at: usize,
    pub done: u64,
    pub shed: u64,
    pub failed: u64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Record {
    pub fn new(answered: Arc<AtomicU64>) -> Result<Self> {
        Ok(Self {
            tallies: BTreeMap::new(),
            shed: Tally::new()?,
            late: histogram()?,
            seconds: Vec::new(),
            under_way: BTreeMap::new(),
            given_up: BTreeMap::new(),
            reopened: 0,
            ran_out: false,
            answered,
        })
    }

    pub fn send(&mut self, kind: Kind, action: Action, due: Instant, times: Times) {
        if times.is_measured(due) {
            *self.under_way.entry((kind, action)).or_default() += 1;
        }
    }

    pub fn give_up(&mut self, kind: Kind, action: Action, count: u64) {
        *self.given_up.entry((kind, action)).or_default() += count;
    }

    pub fn add_one(&mut self, happened: &Happened, times: Times) -> Result<()> {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let is_done = happened.action.is_done(happened.status);
        let is_shed = matches!(happened.status, 429 | 503);
        let latency = happened.done.saturating_duration_since(happened.due);
        let at = happened.done.saturating_duration_since(times.began).as_secs() as usize;
        while self.seconds.len() <= at {
            self.seconds.push(OneSecond::new()?);
        }
        if let Some(second) = self.seconds.get_mut(at) {
            second.latency.saturating_record(latency.as_micros() as u64);
            second.done += u64::from(is_done);
            second.shed += u64::from(is_shed);
            second.failed += u64::from(!is_done && !is_shed);
        }
        if !times.is_measured(happened.due) {
            return Ok(());
        }
        let key = (happened.kind, happened.action);
        if let Some(under_way) = self.under_way.get_mut(&key) {
            *under_way -= 1;
        }
        let tally = match self.tallies.entry(key) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => free.insert(Tally::new()?),
        };
        record(&mut tally.latency, latency);
        *tally.statuses.entry(happened.status).or_default() += 1;
        tally.done += u64::from(is_done);
        tally.bytes += happened.bytes as u64;
        if is_shed {
            record(
                &mut self.shed.latency,
                happened.done.saturating_duration_since(happened.sent),
            );
            *self.shed.statuses.entry(happened.status).or_default() += 1;
        }
        record(
            &mut self.late,
            happened.began.saturating_duration_since(happened.due),
        );
        self.reopened += u64::from(happened.is_reopened);
        Ok(())
    }

    pub fn add(&mut self, other: Self) -> Result<()> {
        for (key, tally) in other.tallies {
            if let Some(known) = self.tallies.get_mut(&key) {
                known.add(&tally)?;
            } else {
                self.tallies.insert(key, tally);
            }
        }
        self.shed.add(&other.shed)?;
        self.late.add(&other.late)?;
        for (at, second) in other.seconds.into_iter().enumerate() {
            if at >= self.seconds.len() {
                self.seconds.push(OneSecond::new()?);
            }
            if let Some(known) = self.seconds.get_mut(at) {
                known.latency.add(&second.latency)?;
                known.done += second.done;
                known.shed += second.shed;
                known.failed += second.failed;
            }
        }
        for (mine, theirs) in [
            (&mut self.under_way, other.under_way),
            (&mut self.given_up, other.given_up),
        ] {
            for (key, count) in theirs {
                *mine.entry(key).or_default() += count;
            }
        }
        self.reopened += other.reopened;
        self.ran_out |= other.ran_out;
        Ok(())
    }

    /// The requests of some sorts together.
    fn requests(&self, name: &str, has: impl Fn(Kind, Action) -> bool) -> Result<Requests> {
        let mut whole = Tally::new()?;
        for (_, tally) in self
            .tallies
            .iter()
            .filter(|((kind, action), _)| has(*kind, *action))
        {
            whole.add(tally)?;
        }
        let count = |all: &BTreeMap<(Kind, Action), u64>| -> u64 {
            let some = all.iter().filter(|((kind, action), _)| has(*kind, *action));
            some.map(|(_, count)| count).sum()
        };
        let unanswered = count(&self.under_way) + count(&self.given_up);
        Ok(of_tally(name, &whole, unanswered))
    }

    pub fn outcome(
        self,
        processes: &Processes,
        times: Times,
        natural: f64,
        series: Vec<Point>,
        cost: Cost,
    ) -> Result<Outcome> {
        let mut by_action = Vec::new();
        for action in Action::ALL {
            by_action.push(self.requests(action.name(), |_, of| of == action)?);
        }
        let mut by_kind = Vec::new();
        for kind in [Kind::Watching, Kind::Browsing, Kind::Sitting, Kind::Heavy] {
            by_kind.push(self.requests(kind.name(), |of, _| of == kind)?);
        }
        by_action.retain(|requests| requests.due > 0);
        by_kind.retain(|requests| requests.due > 0);
        let all = self.requests("all", |_, _| true)?;
        let ours: Vec<&str> = processes.ours().collect();
        let weight = |point: &Point| -> u64 {
            let mine = ours.iter().filter_map(|name| point.memory.get(*name));
            mine.sum()
        };
        let heaviest = series.iter().max_by_key(|point| weight(point));
        let seconds = (times.end - times.warm).as_secs_f64();
        let warm = (times.warm - times.began).as_secs_f64();
        Ok(Outcome {
            users: times.users,
            offered_per_second: natural * times.haste,
            goodput_per_second: all.done as f64 / seconds,
            shed: of_tally("shed", &self.shed, 0),
            generator_late_ms: Latencies::of(&self.late),
            reopened: self.reopened,
            our_memory: heaviest.map(weight).unwrap_or_default(),
            memory: heaviest.map(|point| point.memory.clone()).unwrap_or_default(),
            seconds: self
                .seconds
                .iter()
                .enumerate()
                .map(|(at, second)| second.shown(at))
                .collect(),
            measured: (warm, warm + seconds),
            ran_out: self.ran_out,
            cost: cost.each(all.done),
            all,
            by_action,
            by_kind,
            series,
        })
    }
}

fn of_tally(name: &str, tally: &Tally, unanswered: u64) -> Requests {
    let curve = [
        0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999,
    ];
    let at = |quantile: f64| tally.latency.value_at_quantile(quantile) as f64 / 1e3;
    Requests {
        name: name.to_owned(),
        due: tally.statuses.values().sum::<u64>() + unanswered,
        done: tally.done,
        unanswered,
        statuses: tally.statuses.clone(),
        latency_ms: Latencies::of(&tally.latency),
        curve: curve.iter().map(|quantile| (*quantile, at(*quantile))).collect(),
    }
}

impl OneSecond {
    fn new() -> Result<Self> {
        Ok(Self {
            latency: Histogram::new_with_bounds(1, 60_000_000, 2)?,
            done: 0,
            shed: 0,
            failed: 0,
        })
    }

    fn shown(&self, at: usize) -> Second {
        let ms = |quantile: f64| f64::from(self.latency.value_at_quantile(quantile) as u32) / 1e3;
        Second {
            at,
            done: self.done,
            shed: self.shed,
            failed: self.failed,
            p50: ms(0.5),
            p95: ms(0.95),
            p99: ms(0.99),
            max: ms(1.0),
        }
    }
}
