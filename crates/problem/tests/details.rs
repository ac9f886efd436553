//! Every detail that the product's sources say has a Turkish text.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::fs;
use std::path::{Path, PathBuf};

/// What a detail follows.
const SAYINGS: &[&str] = &[
    "with_detail(",
    "invalid_field(",
    "invalid(",
    "refuse(",
    "malformed(",
    "let detail = ",
    // Of operations.
    "GIVEN_UP: &str = ",
    // Of rows and questions of files.
    "header_fault(",
    "row.fault(",
    "self.fault(",
    "Outcome::refused(",
    ": Refusal = (",
    "Err((",
    "let message = ",
    "Problem::unsupported(",
    "Problem::syntax(",
    "Problem::no_answer(",
    "Problem::too_large(",
    "Problem::encoding(",
    "Problem::empty(",
];

/// Folders whose sources say nothing to clients.
const SKIPPED: &[&str] = &["tests", "target", "benches", "examples", "load-test", "oidc"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.starts_with("tests") {
            found.push(path);
        }
    }
}

/// The literals up to the end of the call or statement that `code` begins within.
fn literals(code: &str) -> Vec<String> {
    let (mut depth, mut literal, mut all) = (1, None::<String>, Vec::new());
    let mut characters = code.chars();
    while let Some(character) = characters.next() {
        match (&mut literal, character) {
            (Some(_), '"') => all.extend(literal.take()),
            (Some(text), '\\') => text.extend(characters.next()),
            (Some(text), _) => text.push(character),
            (None, '"') => literal = Some(String::new()),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ';') => return all,
            _ => {}
        }
        if depth == 0 {
            return all;
        }
    }
    all
}

/// The literal with something in its places.
fn filled(literal: &str) -> String {
    let mut parts = literal.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('7');
        text.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    text
}

#[test]
fn every_detail_has_a_turkish_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["crates", "services", "gateway"] {
        sources(&root.join(folder), &mut files);
    }
    let (mut seen, mut missing) = (0, Vec::new());
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        for saying in SAYINGS {
            for (at, _) in code.match_indices(saying) {
                // Codes and names of fields have no spaces.
                for literal in literals(&code[at + saying.len()..])
                    .iter()
                    .filter(|text| text.contains(' '))
                {
                    seen += 1;
                    if problem::turkish::of(&filled(literal)).is_none() {
                        missing.push(format!("{}: {literal}", file.display()));
                    }
                }
            }
        }
    }
    assert!(seen > 50, "the sources were read: {seen}");
    assert!(missing.is_empty(), "{missing:#?}");
}
