//! Metrics: one registry a process, as Prometheus text and as JSON.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Map, Value, json};

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Bounds of every duration in seconds: fine around the targets (50, 100, 200, 500 ms).
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Installs the registry; a second call changes nothing.
pub fn install_recorder() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS);
        builder.ok().and_then(|builder| builder.install_recorder().ok())
    });
}

/// Puts what was measured into its buckets. Until then each sample is kept: without this, a process that nobody scrapes would grow.
pub fn upkeep() {
    if let Some(Some(handle)) = HANDLE.get() {
        handle.run_upkeep();
    }
}

/// All metrics as Prometheus text (version 0.0.4).
pub fn metrics_prometheus() -> String {
    match HANDLE.get() {
        Some(Some(handle)) => {
            handle.run_upkeep();
            handle.render()
        }
        _ => String::new(),
    }
}

/// The same numbers as JSON: `{"name": [{"labels": {...}, "value": 1.0}]}`.
pub fn metrics_json() -> Value {
    to_json(&metrics_prometheus())
}

fn to_json(text: &str) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, read_labels(labels.trim_end_matches('}'))),
            None => (series, Map::new()),
        };
        let value = value.parse::<f64>().map_or(Value::Null, |number| json!(number));
        let list = all.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(json!({"labels": labels, "value": value}));
        }
    }
    Value::Object(all)
}

fn read_labels(text: &str) -> Map<String, Value> {
    let mut labels = Map::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        // A quote inside a value is escaped.
        let end = after
            .char_indices()
            .find(|(at, c)| *c == '"' && !after[..*at].ends_with('\\'));
        let Some((end, _)) = end else { break };
        labels.insert(
            name.trim_start_matches(',').to_owned(),
            json!(after[..end].replace("\\\"", "\"")),
        );
        rest = &after[end + 1..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_text_becomes_json() {
        let text = "# HELP x\nx_total{a=\"1\",b=\"say \\\"hi\\\", you\"} 3\nup 1\n";
        assert_eq!(
            to_json(text),
            json!({
                "x_total": [{"labels": {"a": "1", "b": "say \"hi\", you"}, "value": 3.0}],
                "up": [{"labels": {}, "value": 1.0}],
            })
        );
    }
}
