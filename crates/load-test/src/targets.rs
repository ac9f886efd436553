//! What is aimed at, what the older design did, and whether a run reached it.

use comfy_table::{Cell, Color, Table, presets};
use serde::Serialize;

use crate::action::{Kind, Workload};
use crate::open::{Outcome, Requests};
use crate::saturate::Saturation;

impl Workload {
    /// Requests a second of the older design (Flask, gunicorn with gevent, PgBouncer, Redis, nginx), faithfully built and measured on
    /// a machine of two cores with wrk beside it: 64 kept connections, medians of three.
    pub fn reference(self) -> Option<f64> {
        match self {
            Self::CourseList => Some(2_290.0),
            Self::Course => Some(2_150.0),
            Self::Heartbeat => Some(850.0),
            Self::Answer => Some(684.0),
            Self::Enrol => Some(678.0),
            Self::Dashboard => Some(497.0),
            Self::Mix => Some(990.0),
            Self::UsersMix => None,
            Self::Login => Some(5.0),
        }
    }

    /// Times the older design's rate.
    fn factor(self) -> Option<f64> {
        match self {
            Self::CourseList => Some(20.0),
            Self::Heartbeat | Self::Answer | Self::Mix => Some(15.0),
            Self::Enrol => Some(12.0),
            Self::Course | Self::Dashboard | Self::UsersMix | Self::Login => None,
        }
    }
}

/// Of all answers to users.
const P95_MS: f64 = 100.0;
const OUR_MEMORY_MB: f64 = 400.0;
const CACHE_HIT_RATIO: f64 = 0.9;
const GOODPUT_OF_PEAK: f64 = 0.9;
const EXAM_SUCCESS: f64 = 0.999;
const SHED_MS: f64 = 10.0;

/// A promise, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    pub what: String,
    pub target: String,
    pub measured: String,
    pub is_reached: bool,
}

impl Verdict {
    fn new(what: impl Into<String>, target: impl Into<String>, measured: String, is_reached: bool) -> Self {
        Self {
            what: what.into(),
            target: target.into(),
            measured,
            is_reached,
        }
    }
}

/// Of the rates in saturation.
pub fn of_saturation(all: &[Saturation]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for one in all {
        let (rate, latency) = (one.median.per_second, &one.median.latency_ms);
        if let Some((older, factor)) = one.reference.zip(one.workload.factor()) {
            verdicts.push(Verdict::new(
                format!("{} in saturation", one.name),
                format!("{factor:.0} x {older:.0}/s = {:.0}/s", factor * older),
                format!("{rate:.0}/s, {:.1} x", rate / older),
                rate >= factor * older,
            ));
        }
        if one.workload == Workload::Mix {
            verdicts.push(Verdict::new(
                "p95 of the API mix in saturation",
                format!("< {P95_MS:.0} ms"),
                format!("{:.1} ms", latency.p95),
                latency.p95 < P95_MS,
            ));
        }
    }
    verdicts
}

/// Of users at the pace of the design documents.
pub fn of_users(outcome: &Outcome) -> Vec<Verdict> {
    let users = format!("{} users", outcome.users);
    let failed = outcome.all.due - outcome.all.done;
    let memory = outcome.our_memory as f64 / 1e6;
    let mut verdicts = vec![
        Verdict::new(
            format!("{users}, {:.0}/s: p95", outcome.offered_per_second),
            format!("< {P95_MS:.0} ms"),
            format!("{:.1} ms", outcome.all.latency_ms.p95),
            outcome.all.latency_ms.p95 < P95_MS,
        ),
        Verdict::new(
            format!("{users}: errors"),
            "0",
            format!("{failed} of {}", outcome.all.due),
            failed == 0,
        ),
        Verdict::new(
            format!("{users}: memory of our processes"),
            format!("< {OUR_MEMORY_MB:.0} MB"),
            format!("{memory:.0} MB"),
            memory < OUR_MEMORY_MB,
        ),
    ];
    if let Some(ratio) = outcome.cost.cache_hit_ratio() {
        verdicts.push(Verdict::new(
            format!("{users}: cache hit ratio"),
            format!(">= {:.0} %", CACHE_HIT_RATIO * 100.0),
            format!("{:.1} %", ratio * 100.0),
            ratio >= CACHE_HIT_RATIO,
        ));
    }
    verdicts
}

/// Of more load than there can be answers.
pub fn of_overload(outcome: &Outcome, peak: f64) -> Vec<Verdict> {
    let exams: Option<&Requests> = outcome
        .by_kind
        .iter()
        .find(|requests| requests.name == Kind::Sitting.name());
    let success = exams.map_or(0.0, |exams| exams.done as f64 / exams.due.max(1) as f64);
    let load = format!("{:.1} x overload", outcome.offered_per_second / peak);
    let has_shed = outcome.shed.due > 0;
    vec![
        Verdict::new(
            format!("{load}: goodput"),
            format!(">= {:.0} % of {peak:.0}/s", GOODPUT_OF_PEAK * 100.0),
            format!(
                "{:.0}/s, {:.0} %",
                outcome.goodput_per_second,
                100.0 * outcome.goodput_per_second / peak
            ),
            outcome.goodput_per_second >= GOODPUT_OF_PEAK * peak,
        ),
        Verdict::new(
            format!("{load}: exam traffic"),
            format!(">= {:.1} % done", EXAM_SUCCESS * 100.0),
            format!("{:.2} %", success * 100.0),
            success >= EXAM_SUCCESS,
        ),
        Verdict::new(
            format!("{load}: p95 of shed answers"),
            format!("< {SHED_MS:.0} ms"),
            if has_shed {
                format!(
                    "{:.1} ms of {} answers",
                    outcome.shed.latency_ms.p95, outcome.shed.due
                )
            } else {
                "nothing was shed".to_owned()
            },
            has_shed && outcome.shed.latency_ms.p95 < SHED_MS,
        ),
    ]
}

pub fn table(verdicts: &[Verdict]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_header(["what", "target", "measured", "verdict"]);
    for verdict in verdicts {
        let (text, color) = if verdict.is_reached {
            ("reached", Color::Green)
        } else {
            ("missed", Color::Red)
        };
        table.add_row([
            Cell::new(&verdict.what),
            Cell::new(&verdict.target),
            Cell::new(&verdict.measured),
            Cell::new(text).fg(color),
        ]);
    }
    table.to_string()
}
