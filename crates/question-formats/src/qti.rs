//! QTI of versions 1.2, 2.x and 3.0: item files, files with many items, and packages of them.

pub(crate) mod package;
mod v1;
mod v2;

use crate::normal::only_one;
use crate::problem::Problem;
use crate::source::{self, Collector};
use crate::xml::{self, Shape};
use crate::{Body, Choice, FULL};

const SHAPE: Shape = Shape {
    items: &["item", "assessmentItem", "qti-assessment-item"],
    skip: &[],
    rename: version_2_name,
};

pub(crate) fn read(bytes: &[u8], collector: &mut Collector<'_>) {
    if package::is_package(bytes) {
        return package::read(bytes, collector);
    }
    let root = match source::text(bytes, collector.limits) {
        Ok(text) => document(text, collector),
        Err((line, problem)) => return collector.stop(line, problem),
    };
    if collector.items() == 0 {
        let problem = match root.as_deref() {
            Some("assessmentTest") => Problem::unsupported("a test that refers to items in other files"),
            _ => Problem::syntax("there are no QTI items"),
        };
        collector.fault(1, problem);
    }
}

/// Gives the name of the root element.
fn document(text: &str, collector: &mut Collector<'_>) -> Option<String> {
    xml::each_item(text, &SHAPE, &mut |line, item| {
        let question = item.and_then(|element| match element.name.as_str() {
            "item" => v1::question(&element),
            _ => v2::question(&element),
        });
        collector.add(line, question);
        !collector.is_full()
    })
}

/// Version 3.0 has new names for the elements and attributes of version 2: `qti-choice-interaction` is
/// `choiceInteraction`, `response-identifier` is `responseIdentifier`.
fn version_2_name(name: &str) -> String {
    let short = name.strip_prefix("qti-").unwrap_or(name);
    if !short.contains('-') || short.starts_with("data-") || short.starts_with("aria-") {
        return short.to_owned();
    }
    let mut out = String::with_capacity(short.len());
    let mut upper = false;
    for character in short.chars() {
        if character == '-' {
            upper = true;
        } else if upper {
            out.push(character.to_ascii_uppercase());
            upper = false;
        } else {
            out.push(character);
        }
    }
    out
}

const WORDS: [(&str, &str); 8] = [
    ("true", "false"),
    ("doğru", "yanlış"),
    ("richtig", "falsch"),
    ("wahr", "falsch"),
    ("vrai", "faux"),
    ("verdadero", "falso"),
    ("vero", "falso"),
    ("t", "f"),
];

/// Two choices, of which one says that it is true and the other that it is not. Gives the feedback too that either of
/// them has, as true/false has no place for it; when both have, each only says whether it was right.
fn true_false(choices: &[Choice]) -> Option<(Body, String)> {
    let [first, second] = choices else { return None };
    let (one, other) = (
        first.text.trim().to_lowercase(),
        second.text.trim().to_lowercase(),
    );
    let is_pair = |one: &str, other: &str| WORDS.contains(&(one, other));
    let first_is_true = is_pair(&one, &other);
    if !first_is_true && !is_pair(&other, &one) {
        return None;
    }
    let first_is_right = match (first.credit, second.credit) {
        (FULL, credit) if credit <= 0 => true,
        (credit, FULL) if credit <= 0 => false,
        _ => return None,
    };
    let feedback = only_one(&first.feedback, &second.feedback).to_owned();
    let answer = first_is_true == first_is_right;
    Some((Body::TrueFalse { answer }, feedback))
}

#[cfg(test)]
mod tests;
