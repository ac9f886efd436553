//! Alerts, dashboard and the chart's rules speak of metrics that the code has, and of those of usual exporters.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks has failed"
)]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Of Prometheus itself, node_exporter and redis_exporter.
const FOREIGN: &[&str] = &[
    "up",
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_disk_io_time_seconds_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "node_filesystem_readonly",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
];
const WORDS: &[&str] = &[
    "sum",
    "avg",
    "max",
    "min",
    "rate",
    "increase",
    "histogram_quantile",
    "time",
    "and",
];
/// What is followed by labels in parentheses.
const GROUPINGS: &[&str] = &["by", "without", "on", "ignoring"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Name and kind of every metric that a process makes.
fn made() -> HashMap<String, &'static str> {
    let mut found = HashMap::new();
    let mut folders: Vec<PathBuf> = ["crates", "gateway", "services"]
        .map(|name| root().join(name))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !["tests", "target"]
                    .map(Some)
                    .contains(&path.file_name().and_then(|name| name.to_str()))
                {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(path).unwrap();
                for kind in ["counter", "gauge", "histogram"] {
                    for (at, call) in text.match_indices(&format!("metrics::{kind}!(")) {
                        let rest = text[at + call.len()..].trim_start();
                        let name = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
                        found.insert(name.unwrap_or_default().to_owned(), kind);
                    }
                }
            }
        }
    }
    found
}

/// The metrics of an expression: its names that are no words of PromQL and no labels.
fn names(expr: &str) -> HashSet<String> {
    let (mut found, mut rest, mut skips_labels) = (HashSet::new(), expr, false);
    while let Some(first) = rest.chars().next() {
        let until = |end: char| rest.find(end).map_or("", |at| &rest[at + 1..]);
        rest = match first {
            '"' => {
                let after = &rest[1..];
                after.find('"').map_or("", |at| &after[at + 1..])
            }
            '{' => until('}'),
            '[' => until(']'),
            '(' if skips_labels => {
                skips_labels = false;
                until(')')
            }
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                skips_labels = GROUPINGS.contains(&word);
                if !skips_labels && !WORDS.contains(&word) {
                    found.insert(word.to_owned());
                }
                after
            }
            _ if first.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            _ => {
                skips_labels = skips_labels && first == ' ';
                &rest[first.len_utf8()..]
            }
        };
    }
    found
}

fn after<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text
        .lines()
        .map(|line| line.trim_start().trim_start_matches("- "));
    lines
        .filter_map(|line| line.strip_prefix(key))
        .map(str::trim)
        .collect()
}

/// Every expression there is, and where it stands.
fn expressions() -> Vec<(&'static str, String)> {
    let alerts = read("deploy/observability/alerts.yml");
    let rules = read("k8s/sc-service/templates/_prometheusrule.tpl");
    let dashboard: Value =
        serde_json::from_str(&read("deploy/observability/grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let shown = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown = shown.map(|target| ("dashboard", target["expr"].as_str().unwrap().to_owned()));
    let of_alerts = after(&alerts, "expr:")
        .into_iter()
        .map(|expr| ("alerts", expr.to_owned()));
    // The chart's labels are written by Helm.
    let plain = |expr: &str| expr.replace("{{ $job }}", "job");
    let of_rules = after(&rules, "expr:")
        .into_iter()
        .map(|expr| ("chart", plain(expr)));
    of_alerts.chain(of_rules).chain(shown).collect()
}

#[test]
fn every_metric_that_is_watched_is_made() {
    let made = made();
    let all = expressions();
    for part in ["alerts", "chart", "dashboard"] {
        assert!(all.iter().filter(|(of, _)| *of == part).count() > 5, "{part}");
    }
    for (part, expr) in all {
        let names = names(&expr);
        assert!(!names.is_empty(), "{part}: {expr}");
        for name in names {
            let of_histogram = ["_bucket", "_count", "_sum"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|stem| made.get(stem) == Some(&"histogram"));
            let is_made = made.get(&name).is_some_and(|kind| *kind != "histogram");
            assert!(
                of_histogram || is_made || FOREIGN.contains(&name.as_str()),
                "{part}: nothing makes {name}: {expr}"
            );
        }
    }
}

/// Prometheus 3 calls the bound 1 of a histogram "1.0": an expression with `le="1"` finds nothing there, and its alert is silent.
#[test]
fn whole_bounds_are_found_by_every_prometheus() {
    for (part, expr) in expressions() {
        for (at, label) in expr.match_indices("le=\"") {
            let bound = expr[at + label.len()..].split('"').next().unwrap_or_default();
            let is_whole = bound.chars().all(|c| c.is_ascii_digit());
            assert!(!is_whole, "{part}: {expr}");
        }
    }
}

#[test]
fn names_are_told_from_words_and_labels() {
    let expr = "100 * sum by (le, job) (rate(a_bucket{x=\"y\"}[5m])) / ignoring (state) b{c=\"d (e)\"} > 0.5";
    let expected = ["a_bucket", "b"].map(str::to_owned);
    assert_eq!(names(expr), HashSet::from(expected));
}

#[test]
fn every_alert_has_its_paragraph_and_the_charts_alerts_are_the_same() {
    let alerts = read("deploy/observability/alerts.yml");
    let rules = read("k8s/sc-service/templates/_prometheusrule.tpl");
    let (names, runbook) = (after(&alerts, "alert:"), read("docs/RUNBOOK.md"));
    for name in &names {
        assert!(
            runbook.contains(&format!("- **{name}**")),
            "{name} is not in the runbook"
        );
    }
    for name in after(&rules, "alert:") {
        assert!(names.contains(&name), "{name} is in the chart alone");
    }
}

/// C-OBS-03, C-OBS-06, S-OBS-01.
#[test]
fn the_thresholds_are_those_that_were_agreed() {
    let alerts = read("deploy/observability/alerts.yml");
    let pairs: HashMap<&str, &str> = after(&alerts, "alert:")
        .into_iter()
        .zip(after(&alerts, "expr:"))
        .collect();
    for (name, threshold) in [
        ("CpuHigh", "> 80"),
        ("MemoryHigh", "> 85"),
        ("DiskBusy", "> 70"),
        ("DiskFull", "> 80"),
        ("ApiSlow", "> 0.5"),
        ("RequestsSlow", "> 1"),
        ("ApiErrors", "> 1"),
        ("DatabasePoolFull", "> 80"),
        ("RedisMemoryHigh", "> 70"),
    ] {
        assert!(pairs[name].ends_with(threshold), "{name}: {}", pairs[name]);
    }
}
