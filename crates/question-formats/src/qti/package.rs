//! Zip packages. Nothing of them is written to disk, and no more is inflated than the limits allow.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::document;
use crate::problem::Problem;
use crate::source::{self, Collector};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(crate) fn is_package(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

pub(super) fn read(bytes: &[u8], collector: &mut Collector<'_>) {
    let mut archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => return collector.stop(1, Problem::syntax(format!("not a zip package: {error}"))),
    };
    if archive.len() > collector.limits.max_files {
        let message = format!("more than {} files", collector.limits.max_files);
        return collector.stop(1, Problem::too_large(message));
    }
    let mut left = collector.limits.max_inflated_bytes;
    for (name, index) in wanted(&archive) {
        collector.enter(&name);
        match inflate(&mut archive, index, left) {
            Ok(bytes) => {
                left = left.saturating_sub(bytes.len() as u64);
                match source::text(&bytes, collector.limits) {
                    Ok(text) => drop(document(text, collector)),
                    Err((line, problem)) => collector.fault(line, problem),
                }
            }
            Err(problem) if problem.code == "too_large" => collector.stop(1, problem),
            Err(problem) => collector.fault(1, problem),
        }
        if collector.is_full() {
            return;
        }
    }
    collector.enter("");
    if collector.items() == 0 {
        collector.fault(1, Problem::syntax("there are no QTI items in the package"));
    }
}

/// The entries that may hold items, in the order of their names.
fn wanted(archive: &Archive<'_>) -> Vec<(String, usize)> {
    let mut names: Vec<(String, usize)> = archive
        .file_names()
        .filter(|name| may_hold_items(name))
        .filter_map(|name| Some((name.to_owned(), archive.index_for_name(name)?)))
        .collect();
    names.sort();
    // Canvas writes its quizzes twice; the copy with all of its own data is in another folder.
    let copies: Vec<String> = names
        .iter()
        .filter_map(|(name, _)| canvas_quiz(name))
        .map(str::to_owned)
        .collect();
    names.retain(|(name, _)| {
        let quiz = name
            .strip_suffix("/assessment_qti.xml")
            .map(|folder| folder.rsplit('/').next().unwrap_or_default());
        !quiz.is_some_and(|quiz| copies.iter().any(|copy| copy == quiz))
    });
    names
}

fn canvas_quiz(name: &str) -> Option<&str> {
    let (folder, file) = name.rsplit_once('/')?;
    (folder == "non_cc_assessments" || folder.ends_with("/non_cc_assessments")).then_some(())?;
    file.strip_suffix(".xml.qti")
}

fn may_hold_items(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    let lower = file.to_lowercase();
    let is_xml = lower
        .rsplit('.')
        .next()
        .is_some_and(|ending| ending == "xml" || ending == "qti");
    is_xml && lower != "imsmanifest.xml" && !file.starts_with('.') && !name.starts_with("__MACOSX/")
}

fn inflate(archive: &mut Archive<'_>, index: usize, left: u64) -> Result<Vec<u8>, Problem> {
    let broken =
        |error: &dyn std::fmt::Display| Problem::syntax(format!("the file cannot be inflated: {error}"));
    let entry = archive.by_index(index).map_err(|error| broken(&error))?;
    let mut bytes = Vec::new();
    // The size that the package tells is not believed.
    entry
        .take(left.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| broken(&error))?;
    if bytes.len() as u64 > left {
        return Err(Problem::too_large("the files are too large when inflated"));
    }
    Ok(bytes)
}
