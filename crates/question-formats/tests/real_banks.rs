//! Question banks of other systems, as they are found. They are not part of this repository: the tests are skipped
//! where they are absent.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]
#![expect(clippy::print_stdout, reason = "the table of what was read")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use question_formats::{Bank, Body, Choice, FULL, Format, Limits, Question, detect, read, write_gift};
use serde_json::Value;

fn banks() -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared =
        std::env::var_os("SC_SHARED_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let folder = project.join(shared).join("1-question-banks");
    if !folder.is_dir() {
        println!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn format(path: &Path) -> Option<Format> {
    let text = path.to_string_lossy();
    if text.contains("/moodle/aiken/") {
        Some(Format::Aiken)
    } else if text.contains("/moodle/gift/") || text.ends_with(".gift") {
        Some(Format::Gift)
    } else if text.contains("/moodle/xml/") {
        Some(Format::MoodleXml)
    } else if text.ends_with("/imsmanifest.xml") {
        None
    } else {
        [".xml", ".qti", ".zip"]
            .iter()
            .any(|ending| text.ends_with(ending))
            .then_some(Format::Qti)
    }
}

/// Tests, style sheets and the like have no items: they are read, but not counted.
fn has_items(format: Format, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let marks = [
        "<item ",
        "<assessmentItem ",
        "<assessmentItem\n",
        "<qti-assessment-item ",
        "<qti-assessment-item\n",
    ];
    format != Format::Qti
        || bytes.starts_with(b"PK")
        || marks.iter().any(|mark| text.replace('\r', "").contains(mark))
}

#[derive(Default)]
struct Row {
    files: usize,
    imported: usize,
    faults: BTreeMap<&'static str, usize>,
}

/// What is read survives being written.
fn check(path: &Path, bank: &Bank) {
    let questions: Vec<Question> = bank
        .questions
        .iter()
        .map(|imported| imported.question.clone())
        .collect();
    let written = write_gift(&questions);
    let again = read(Format::Gift, written.as_bytes(), &Limits::default());
    assert_eq!(again.faults, [], "{}\n{written}", path.display());
    let again: Vec<Question> = again
        .questions
        .into_iter()
        .map(|imported| imported.question)
        .collect();
    assert_eq!(again, questions, "{}", path.display());
    for fault in &bank.faults {
        assert!(
            fault.line > 0 && !fault.message.is_empty(),
            "{}: {fault:?}",
            path.display()
        );
    }
}

#[test]
fn all_banks_are_read() {
    let Some(folder) = banks() else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let verbose = std::env::var_os("SC_VERBOSE").is_some();
    for path in &paths {
        let Some(format) = format(path) else { continue };
        let bytes = fs::read(path).unwrap();
        let bank = read(format, &bytes, &Limits::default());
        check(path, &bank);
        if !bank.questions.is_empty() {
            assert_eq!(detect(&bytes), format, "{}", path.display());
        }
        if !has_items(format, &bytes) {
            assert_eq!(bank.questions, [], "{}", path.display());
            continue;
        }
        let inside = path.strip_prefix(&folder).unwrap();
        let source = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let kind = if bytes.starts_with(b"PK") {
            format!("{format:?} zip")
        } else {
            format!("{format:?}")
        };
        let row = rows.entry((source, kind)).or_default();
        row.files += 1;
        row.imported += bank.questions.len();
        for fault in &bank.faults {
            *row.faults.entry(fault.code).or_default() += 1;
            if verbose {
                println!(
                    "{} {} {}: {}: {}",
                    inside.display(),
                    fault.file,
                    fault.line,
                    fault.code,
                    fault.message
                );
            }
        }
        if verbose {
            for imported in &bank.questions {
                println!(
                    "{} {} {}: {:?}",
                    inside.display(),
                    imported.file,
                    imported.line,
                    imported.question
                );
            }
        }
    }
    println!(
        "{:<16} {:<10} {:>5} {:>6} {:>9}  faults",
        "bank", "format", "files", "items", "imported"
    );
    for ((source, kind), row) in &rows {
        let faults: usize = row.faults.values().sum();
        let items = row.imported + faults;
        println!(
            "{source:<16} {kind:<10} {:>5} {items:>6} {:>9}  {:?}",
            row.files, row.imported, row.faults
        );
    }
    let least = [
        ("1edtech-qti3", "Qti", 93),
        ("1edtech-qti3", "Qti zip", 98),
        ("gift-peg", "Gift", 47),
        ("instructure-qti", "Qti", 82),
        ("instructure-qti", "Qti zip", 12),
        ("moodle", "Aiken", 2),
        ("moodle", "Gift", 51),
        ("moodle", "MoodleXml", 10),
    ];
    for (source, kind, least) in least {
        let imported = rows
            .get(&(source.to_owned(), kind.to_owned()))
            .map_or(0, |row| row.imported);
        assert!(
            imported >= least,
            "{source} {kind}: {imported} of at least {least}"
        );
    }
}

/// Cut off, or with a byte changed, each bank is still read as far as it goes.
#[test]
fn damaged_banks_are_read() {
    let Some(folder) = banks() else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    for path in &paths {
        let Some(format) = format(path) else { continue };
        let bytes = fs::read(path).unwrap();
        if bytes.len() > 20_000 {
            continue;
        }
        let step = (bytes.len() / 12).max(1);
        for at in (0..bytes.len()).step_by(step) {
            check(path, &read(format, &bytes[..at], &Limits::default()));
            let mut changed = bytes.clone();
            changed[at] ^= 0x1f;
            check(path, &read(format, &changed, &Limits::default()));
        }
    }
}

/// The keys tell type, text and answers of each question.
#[test]
fn gift_is_read_as_the_answer_keys_say() {
    let Some(folder) = banks() else { return };
    let mut paths = Vec::new();
    files(&folder.join("gift-peg"), &mut paths);
    let mut compared = 0;
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "gift"))
    {
        let key: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let bank = read(Format::Gift, &fs::read(path).unwrap(), &Limits::default());
        let items = key
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["type"] != "Category");
        let (refused, expected): (Vec<&Value>, Vec<&Value>) =
            items.partition(|item| item["type"] == "Matching" || item["type"] == "Description");
        assert_eq!(
            bank.questions.len(),
            expected.len(),
            "{}: {:?}",
            path.display(),
            bank.faults
        );
        assert_eq!(
            bank.faults.len(),
            refused.len(),
            "{}: {:?}",
            path.display(),
            bank.faults
        );
        for (imported, item) in bank.questions.iter().zip(expected) {
            compare(&imported.question, item);
            compared += 1;
        }
    }
    println!("{compared} questions are as their keys say");
    assert!(compared > 40, "{compared}");
}

fn words(text: &str) -> String {
    // The keys part a gap from a full stop.
    text.replace("_____ ", "_____")
        .split_whitespace()
        .collect::<Vec<&str>>()
        .join(" ")
}

fn same_text(found: &str, expected: &Value) {
    if expected["format"] != "html" {
        assert_eq!(words(found), words(expected["text"].as_str().unwrap()));
    }
}

fn compare(question: &Question, item: &Value) {
    assert_eq!(question.title, item["title"].as_str().unwrap_or_default());
    same_text(&question.text, &item["stem"]);
    let choices = item["choices"].as_array();
    match (item["type"].as_str().unwrap(), &question.body) {
        ("Essay", Body::Essay) => {}
        ("TF", Body::TrueFalse { answer }) => assert_eq!(item["isTrue"], *answer),
        ("MC", Body::Single { choices: found } | Body::Multiple { choices: found }) => {
            let expected = choices.unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                compare_choice(found, expected);
            }
        }
        ("Short", Body::Short { accepted, .. }) => {
            let right = choices.unwrap().iter().filter(|choice| choice["weight"] != 0);
            let right: Vec<&Value> = right.collect();
            assert_eq!(accepted.len(), right.len());
            for (found, expected) in accepted.iter().zip(right) {
                same_text(&found.text, &expected["text"]);
                let weight = expected["weight"].as_f64().unwrap_or(100.0) * 100.0;
                assert!(
                    (f64::from(found.credit) - weight).abs() < 1.0,
                    "{found:?} {expected}"
                );
            }
        }
        ("Numerical", Body::Numeric { accepted }) => {
            let whole = vec![item["choices"].clone()];
            let right = choices
                .unwrap_or(&whole)
                .iter()
                .filter(|choice| choice["weight"] != 0);
            let right: Vec<&Value> = right
                .map(|choice| {
                    if choice["text"].is_object() {
                        &choice["text"]
                    } else {
                        choice
                    }
                })
                .collect();
            assert_eq!(accepted.len(), right.len());
            for (found, expected) in accepted.iter().zip(right) {
                compare_number(&found.value, &found.tolerance, expected);
            }
        }
        (kind, body) => panic!("{kind} is read as {body:?}"),
    }
}

fn compare_choice(found: &Choice, expected: &Value) {
    same_text(&found.text, &expected["text"]);
    if expected["feedback"].is_object() {
        same_text(&found.feedback, &expected["feedback"]);
    }
    let by_mark = if expected["isCorrect"] == true { 100.0 } else { 0.0 };
    let credit = expected["weight"].as_f64().unwrap_or(by_mark) / 100.0 * f64::from(FULL);
    // Thirds are rounded so that they add up.
    assert!(
        (f64::from(found.credit) - credit).abs() < 1.0,
        "{found:?} {expected}"
    );
}

fn compare_number(value: &str, tolerance: &str, expected: &Value) {
    let (value, tolerance): (f64, f64) = (value.parse().unwrap(), tolerance.parse().unwrap());
    let number = |name: &str| expected[name].as_f64();
    let (low, high) = match (number("numberLow"), number("numberHigh"), number("number")) {
        (Some(low), Some(high), _) => (low, high),
        (_, _, Some(number)) => {
            let range = expected["range"].as_f64().unwrap_or(0.0);
            (number - range, number + range)
        }
        _ => panic!("{expected}"),
    };
    assert!(
        (value - tolerance - low).abs() < 1e-9 && (value + tolerance - high).abs() < 1e-9,
        "{value} {expected}"
    );
}
