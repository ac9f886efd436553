//! Files of courses, ours and those of other catalogues, as items with their faults.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::domain::text::without_tags;

/// A course of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub source_key: String,
    pub title: String,
    pub description: String,
    pub category: String,
    pub code: String,
    pub academic_year: String,
    pub published: bool,
}

/// Why an item does not load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `line 3` or `item 3`.
    place: String,
    why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

const MAX_TITLE: usize = 300;
const MAX_DESCRIPTION: usize = 20_000;
const MAX_CODE: usize = 64;

pub fn read_file(path: &Path) -> Result<(Vec<Item>, Vec<Fault>)> {
    let open = || fs::File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("file");
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson") => Ok(sort(json_lines(BufReader::new(open()?), name)?)),
        Some("csv") => Ok(sort(csv_rows(open()?, name)?)),
        Some("json") => Ok(sort(json_list(&fs::read(path)?, name)?)),
        _ => bail!("{}: not .jsonl, .csv or .json", path.display()),
    }
}

fn sort(all: Vec<Result<Item, Fault>>) -> (Vec<Item>, Vec<Fault>) {
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    for one in all {
        match one {
            Ok(item) => items.push(item),
            Err(fault) => faults.push(fault),
        }
    }
    (items, faults)
}

fn json_lines(reader: impl BufRead, file: &str) -> Result<Vec<Result<Item, Fault>>> {
    let mut all = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let (line, place) = (line?, format!("line {}", index + 1));
        if line.trim().is_empty() {
            continue;
        }
        all.push(match serde_json::from_str::<Map<String, Value>>(&line) {
            Ok(object) => item(&object, file, &place),
            Err(fault) => Err(Fault {
                place,
                why: fault.to_string(),
            }),
        });
    }
    Ok(all)
}

fn csv_rows(file: fs::File, name: &str) -> Result<Vec<Result<Item, Fault>>> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(false)
        .trim(csv::Trim::All)
        .from_reader(file);
    let header = reader.headers()?.clone();
    let mut all = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let place = format!("line {}", index + 2);
        all.push(match row {
            Ok(row) => {
                let members = header.iter().zip(&row);
                let object = members
                    .map(|(name, value)| (name.to_owned(), Value::from(value)))
                    .collect();
                item(&object, name, &place)
            }
            Err(fault) => Err(Fault {
                place,
                why: fault.to_string(),
            }),
        });
    }
    Ok(all)
}

/// A list of courses, or an object that holds one.
fn json_list(bytes: &[u8], file: &str) -> Result<Vec<Result<Item, Fault>>> {
    let value: Value = serde_json::from_slice(bytes).context("not JSON")?;
    let list = match value {
        Value::Array(list) => list,
        Value::Object(mut object) => {
            let inner = ["results", "courses", "items", "data"]
                .into_iter()
                .find_map(|name| match object.remove(name) {
                    Some(Value::Array(list)) => Some(list),
                    _ => None,
                });
            inner.unwrap_or_else(|| vec![Value::Object(object)])
        }
        _ => bail!("neither a list nor an object"),
    };
    let items = list.into_iter().enumerate().map(|(index, value)| {
        let place = format!("item {}", index + 1);
        match value {
            Value::Object(object) => item(&object, file, &place),
            _ => Err(Fault {
                place,
                why: "is no object".into(),
            }),
        }
    });
    Ok(items.collect())
}

/// One course, by our names or by those that other catalogues use.
fn item(object: &Map<String, Value>, file: &str, place: &str) -> Result<Item, Fault> {
    let fault = |why: String| Fault {
        place: place.to_owned(),
        why,
    };
    let page = object.get("page").and_then(Value::as_object);
    let first = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| text(object.get(*name)).or_else(|| page.and_then(|page| text(page.get(*name)))))
    };
    let title = first(&["title", "name", "course_title"])
        .map(|title| without_tags(&title))
        .unwrap_or_default();
    if title.is_empty() {
        return Err(fault("has no title".into()));
    }
    if title.chars().count() > MAX_TITLE {
        return Err(fault(format!("its title is longer than {MAX_TITLE} characters")));
    }
    let description = first(&[
        "description",
        "full_description",
        "short_description",
        "about",
        "course_description",
    ]);
    let mut description = description.map(|html| without_tags(&html)).unwrap_or_default();
    if let Some((cut, _)) = description.char_indices().nth(MAX_DESCRIPTION) {
        description.truncate(cut);
    }
    let code = first(&[
        "code",
        "readable_id",
        "course_id",
        "primary_course_number",
        "coursenum",
        "key",
        "uuid",
    ])
    .unwrap_or_default();
    let key = first(&["source_key"]).or_else(|| Some(code.clone()).filter(|code| !code.is_empty()));
    let source_key = format!("{file}:{}", key.unwrap_or_else(|| title.clone()));
    let published = match object
        .get("published")
        .or_else(|| page.and_then(|page| page.get("live")))
    {
        None | Some(Value::Null) => true,
        Some(Value::Bool(published)) => *published,
        Some(Value::String(text)) => {
            !matches!(text.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "hayır")
        }
        Some(_) => return Err(fault("`published` is neither true nor false".into())),
    };
    Ok(Item {
        source_key,
        title,
        description,
        category: first(&["category", "department", "departments", "topics", "subjects"])
            .unwrap_or_default()
            .chars()
            .take(120)
            .collect(),
        code: code.chars().take(MAX_CODE).collect(),
        academic_year: first(&["academic_year", "year"])
            .unwrap_or_default()
            .chars()
            .take(32)
            .collect(),
        published,
    })
}

/// A text, a number, or the first of a list of names.
fn text(value: Option<&Value>) -> Option<String> {
    let found = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(list) => return list.iter().find_map(|one| text(Some(one))),
        Value::Object(object) => return text(object.get("name").or_else(|| object.get("title"))),
        _ => return None,
    };
    Some(found).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_lines_and_faults_with_their_places() {
        let lines =
            "{\"title\":\"Matematik\",\"code\":\"MAT\",\"published\":false}\n\n{\"title\":\"\"}\n{broken\n";
        let (items, faults) = sort(json_lines(lines.as_bytes(), "mine").unwrap());
        assert_eq!(
            (items[0].source_key.as_str(), items[0].published),
            ("mine:MAT", false)
        );
        let places: Vec<_> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, ["line 3", "line 4"]);
    }

    #[test]
    fn catalogues_of_others_are_understood() {
        let json = br#"{"results": [{"title": "Equations", "readable_id": "course-v1:18.03", "departments": [{"name": "Maths"}],
                        "page": {"description": "<p>World &amp; equations</p>", "live": true}}]}"#;
        let (items, faults) = sort(json_list(json, "x").unwrap());
        assert!(faults.is_empty());
        assert_eq!(
            (items[0].category.as_str(), items[0].description.as_str()),
            ("Maths", "World & equations")
        );
    }

    /// The real catalogues, where they are at hand; skipped where they are not.
    #[test]
    fn real_catalogues_load() {
        let folder = option_env!("SC_SHARED_DATA").unwrap_or("../../../shared/data");
        let folder = Path::new(folder).join("2-courses-and-logs/mit-learn");
        if !folder.is_dir() {
            return;
        }
        for name in ["bootcamps.json", "mitxonline_courses.json", "xpro_courses.json"] {
            let (items, faults) = read_file(&folder.join(name)).unwrap();
            assert!(!items.is_empty() && faults.is_empty(), "{name}: {faults:?}");
        }
    }
}
