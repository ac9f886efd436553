//! What a run found out: a JSON file that runs can be compared by, and a page for people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clock::Clock;
use serde::Serialize;

use crate::open::Outcome;
use crate::processes::Machine;
use crate::saturate::Saturation;
use crate::targets::Verdict;

const PAGE: &str = include_str!("../assets/report.html");
const PLACE: &str = "/*RESULTS*/";

#[derive(Debug, Serialize)]
pub struct Results {
    /// RFC 3339.
    pub began_at: String,
    pub commit: String,
    pub machine: Machine,
    /// The command that reproduces this.
    pub command: String,
    /// Answers a second of a bare axum server to this generator, one measurement before each round and one after the last.
    pub yardstick: Vec<f64>,
    pub connections: usize,
    pub saturation: Vec<Saturation>,
    pub users: Option<Outcome>,
    pub overload: Option<Outcome>,
    pub verdicts: Vec<Verdict>,
}

impl Results {
    pub fn new(connections: usize) -> Self {
        let format = &time::format_description::well_known::Rfc3339;
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Self {
            began_at: Clock::system().now().format(format).unwrap_or_default(),
            commit: commit(),
            machine: Machine::this(),
            command: format!("sc-load {}", arguments.join(" ")),
            yardstick: Vec::new(),
            connections,
            saturation: Vec::new(),
            users: None,
            overload: None,
            verdicts: Vec::new(),
        }
    }

    /// Writes `load-<time>.json` and `.html` into a folder; the page's path.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
        let stamp: String = self
            .began_at
            .chars()
            .take(19)
            .map(|c| if c == ':' { '-' } else { c })
            .collect();
        let json = serde_json::to_string(self)?;
        // A script ends at the first `</`, wherever that stands.
        let page = PAGE.replace(PLACE, &json.replace("</", "<\\/"));
        fs::write(folder.join(format!("load-{stamp}.json")), json)?;
        let path = folder.join(format!("load-{stamp}.html"));
        fs::write(&path, page)?;
        Ok(path)
    }
}

/// The commit that this was built from, with a mark when files were changed.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let done = Command::new("git").args(arguments).output().ok()?;
        done.status
            .success()
            .then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}, changed"),
    }
}
