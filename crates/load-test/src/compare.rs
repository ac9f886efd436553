//! Two runs side by side, with the speed of the machine taken out.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde_json::Value;

use crate::processes::GENERATOR;

#[derive(clap::Args)]
pub struct Arguments {
    /// The JSON file of a run.
    before: PathBuf,
    after: PathBuf,
}

#[expect(clippy::print_stdout, reason = "a command's report")]
pub fn run(arguments: &Arguments) -> Result<()> {
    let read = |path: &PathBuf| -> Result<Value> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    };
    println!("{}", compare(&read(&arguments.before)?, &read(&arguments.after)?));
    Ok(())
}

/// What both have.
fn compare(before: &Value, after: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
        "what",
        "before",
        "after",
        "change",
        "of it the machine's",
        "the product's",
    ]);
    let machine = yardstick(after) / yardstick(before);
    let mut row = |what: &str, old: f64, new: f64, follows_machine: bool| {
        let change = new / old;
        let product = if follows_machine { change / machine } else { change };
        table.add_row([
            what.to_owned(),
            format!("{old:.1}"),
            format!("{new:.1}"),
            format!("{change:.2} x"),
            if follows_machine {
                format!("{machine:.2} x")
            } else {
                String::new()
            },
            format!("{product:.2} x"),
        ]);
    };
    row("yardstick, a second", yardstick(before), yardstick(after), true);
    for new in array(after, "saturation") {
        let name = new["name"].as_str().unwrap_or_default();
        let known = array(before, "saturation")
            .iter()
            .find(|old| old["name"] == new["name"]);
        let Some(old) = known else { continue };
        let (old, new) = (&old["median"], &new["median"]);
        row(
            &format!("{name}, a second"),
            number(&old["per_second"]),
            number(&new["per_second"]),
            true,
        );
        row(
            &format!("{name}, us of processor time"),
            micros(old),
            micros(new),
            false,
        );
    }
    for (crowd, what) in [("users", "users"), ("overload", "overload")] {
        let (old, new) = (&before[crowd], &after[crowd]);
        if old.is_null() || new.is_null() {
            continue;
        }
        for (name, path) in [
            ("p95 ms", "/all/latency_ms/p95"),
            ("p99 ms", "/all/latency_ms/p99"),
        ] {
            let at = |results: &Value| results.pointer(path).map(number).unwrap_or_default();
            row(&format!("{what}, {name}"), at(old), at(new), false);
        }
        row(
            &format!("{what}, goodput a second"),
            number(&old["goodput_per_second"]),
            number(&new["goodput_per_second"]),
            true,
        );
        row(
            &format!("{what}, our memory MB"),
            number(&old["our_memory"]) / 1e6,
            number(&new["our_memory"]) / 1e6,
            false,
        );
    }
    table.to_string()
}

fn array<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

/// The median; 1 where none was measured.
fn yardstick(results: &Value) -> f64 {
    let mut all: Vec<f64> = array(results, "yardstick").iter().map(number).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(1.0)
}

fn micros(round: &Value) -> f64 {
    let parts = round["cost"]["micros_each"].as_object();
    parts
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != GENERATOR)
        .map(|(_, micros)| number(micros))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_machine_that_got_faster_is_no_progress() {
        let run = |yardstick: f64, rate: f64| {
            json!({"yardstick": [yardstick, yardstick + 1.0, 0.0], "users": null, "overload": null, "saturation": [{
                "name": "enrol",
                "median": {"per_second": rate, "cost": {"micros_each": {"exam": 200.0, "load generator": 50.0}}},
            }]})
        };
        let told = compare(&run(50_000.0, 1_000.0), &run(100_000.0, 2_000.0));
        let row = told
            .lines()
            .find(|line| line.contains("enrol, a second"))
            .unwrap();
        let cells: Vec<&str> = row.split(['│', '┆']).map(str::trim).collect();
        assert_eq!(
            cells[1..7],
            [
                "enrol, a second",
                "1000.0",
                "2000.0",
                "2.00 x",
                "2.00 x",
                "1.00 x"
            ]
        );
        assert!(told.contains("200.0"), "{told}");
    }
}
