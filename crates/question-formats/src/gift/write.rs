//! Questions as GIFT.

use std::fmt::Write;

use super::notes;
use super::text::{self, SPECIAL};
use crate::normal::{self, one_line};
use crate::{Body, Choice, Credit, FULL, NumericAnswer, Question, TextAnswer, decimal, wildcard};

/// What is written here is read again as the same questions, once they are in normal form: titles and tags on one
/// line, texts without space around, credits that add up, numbers without a plus or an exponent, no answer twice.
/// Each question that [`crate::read`] gives is in that form.
///
/// Tags, points other than one, and whether case counts stand in a comment in front of the question:
/// `// [tag:algebra] [points:2.5] [case:sensitive]`. Texts are marked `[plain]`, line ends in them are written `\n`.
/// A question that cannot be asked, such as one without a right answer, is left out; a comment says so.
pub fn write_gift(questions: &[Question]) -> String {
    let mut out = String::new();
    for question in questions {
        match normal::normal(question.clone()) {
            Ok(question) => write(&question, &mut out),
            Err(problem) => {
                let name = one_line(&question.title).replace(['[', ']'], "");
                put(
                    &mut out,
                    format_args!("// left out: {name}: {}\n\n", one_line(&problem.message)),
                );
            }
        }
    }
    out
}

fn write(question: &Question, out: &mut String) {
    let notes = comment(question);
    if !notes.is_empty() {
        put(out, format_args!("// {}\n", notes.join(" ")));
    }
    if !question.title.is_empty() {
        put(out, format_args!("::{}::", escape(&question.title)));
    }
    put(out, format_args!("[plain]{} {{", escape(&question.text)));
    match &question.body {
        Body::Single { choices } => single(choices, out),
        Body::Multiple { choices } => multiple(choices, out),
        Body::TrueFalse { answer } => out.push_str(if *answer { "TRUE" } else { "FALSE" }),
        Body::Numeric { accepted } => numeric(accepted, out),
        Body::Short { accepted, .. } => short(accepted, out),
        Body::Essay => {}
    }
    if !question.feedback.is_empty() {
        put(out, format_args!("\n\t####{}\n", answer_text(&question.feedback)));
    }
    out.push_str("}\n\n");
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = out.write_fmt(text);
}

fn comment(question: &Question) -> Vec<String> {
    let mut parts: Vec<String> = question.tags.iter().map(|tag| notes::write("tag", tag)).collect();
    if question.points != 1000 {
        let points = format!("{}.{:03}", question.points / 1000, question.points % 1000);
        parts.push(notes::write(
            "points",
            points.trim_end_matches('0').trim_end_matches('.'),
        ));
    }
    if let Body::Short {
        accepted,
        case_sensitive,
    } = &question.body
    {
        if *case_sensitive {
            parts.push(notes::write("case", "sensitive"));
        }
        if accepted.iter().all(|answer| answer.text.contains("->")) {
            parts.push(notes::write("type", "short"));
        }
    }
    parts
}

fn single(choices: &[Choice], out: &mut String) {
    let mut marked = false;
    for choice in choices {
        // One `=` makes it a question with one right choice, and one `~` makes it one with choices.
        let mark = choice.credit == FULL && !marked;
        marked |= mark;
        let weight = if mark || choice.credit == 0 {
            None
        } else {
            Some(choice.credit)
        };
        write_choice(choice, if mark { '=' } else { '~' }, weight, out);
    }
    out.push('\n');
}

fn multiple(choices: &[Choice], out: &mut String) {
    let right: Vec<Credit> = choices
        .iter()
        .map(|choice| choice.credit)
        .filter(|credit| *credit > 0)
        .collect();
    let even = crate::credit::share(&vec![1; right.len()]) == right;
    for choice in choices {
        let weight = match choice.credit {
            0 => None,
            credit if credit > 0 && even => Some(100.0 / right.len() as f64),
            credit => Some(percent(credit)),
        };
        let text = weight.map(percent_text);
        choice_line(choice, '~', text, out);
    }
    out.push('\n');
}

fn write_choice(choice: &Choice, mark: char, weight: Option<Credit>, out: &mut String) {
    choice_line(choice, mark, weight.map(percent).map(percent_text), out);
}

fn choice_line(choice: &Choice, mark: char, weight: Option<String>, out: &mut String) {
    let looks_weighted = choice.text.starts_with('%');
    let plain_weight = if mark == '=' { "100" } else { "0" };
    let weight = weight.or_else(|| looks_weighted.then(|| plain_weight.to_owned()));
    let weight = weight.map(|weight| format!("%{weight}%")).unwrap_or_default();
    put(
        out,
        format_args!("\n\t{mark}{weight}{}", answer_text(&choice.text)),
    );
    if !choice.feedback.is_empty() {
        put(out, format_args!("#{}", answer_text(&choice.feedback)));
    }
}

fn numeric(accepted: &[NumericAnswer], out: &mut String) {
    out.push('#');
    for answer in accepted {
        let weight = percent_text(percent(answer.credit));
        put(
            out,
            format_args!("\n\t=%{weight}%{}:{}", answer.value, answer.tolerance),
        );
    }
    out.push('\n');
}

fn short(accepted: &[TextAnswer], out: &mut String) {
    for answer in accepted {
        let weight = percent_text(percent(answer.credit));
        put(
            out,
            format_args!("\n\t=%{weight}%{}", answer_text(&wildcard::pattern(&answer.text))),
        );
    }
    out.push('\n');
}

/// Credits that Moodle knows as fractions of three, six, seven or nine are written as exactly as it wants them.
fn percent(credit: Credit) -> f64 {
    for parts in [3, 6, 7, 9] {
        for part in 1..parts {
            let exact = f64::from(FULL) * f64::from(part) / f64::from(parts);
            if (exact.round() - f64::from(credit.abs())).abs() < 0.5 {
                return exact / 100.0 * f64::from(credit.signum());
            }
        }
    }
    f64::from(credit) / 100.0
}

fn percent_text(percent: f64) -> String {
    let text = format!("{percent:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    decimal::normal(text).unwrap_or_default()
}

/// A text among answers, which must not look as if it started with a markup prefix.
fn answer_text(text: &str) -> String {
    let prefix = if text::own_markup(text).0.is_some() {
        "[plain]"
    } else {
        ""
    };
    format!("{prefix}{}", escape(text))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' {
            out.push_str("\\n");
            continue;
        }
        if SPECIAL.contains(&character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
