use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prints rows: a JSON array, or a table of these columns.
pub fn rows<T: Serialize>(output: Output, columns: &[&str], rows: &[T]) -> Result<()> {
    let Output::Table = output else {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    };
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns);
    for row in rows {
        let row = serde_json::to_value(row)?;
        table.add_row(columns.iter().map(|column| cell(&row[*column])));
    }
    println!("{table}");
    Ok(())
}

/// Prints what was done.
pub fn done<T: Serialize>(output: Output, text: &str, value: &T) -> Result<()> {
    match output {
        Output::Table => println!("{text}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(value)?),
    }
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
