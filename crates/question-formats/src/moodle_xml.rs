//! Moodle's own XML.

use crate::normal::{excerpt, only_one};
use crate::plain_text::{self, Markup};
use crate::problem::Problem;
use crate::source::Collector;
use crate::xml::{self, Element, Shape};
use crate::{Body, Choice, Credit, FULL, NumericAnswer, Question, TextAnswer, decimal, gift, wildcard};

const SHAPE: Shape = Shape {
    items: &["question"],
    // Pictures and sounds, in base64.
    skip: &["file"],
    rename: str::to_owned,
};

pub(crate) fn read(source: &str, collector: &mut Collector<'_>) {
    let before = collector.items();
    let mut categories = 0;
    let mut category = None;
    let root = xml::each_item(source, &SHAPE, &mut |line, item| {
        match item {
            Ok(element) if element.attribute("type") == Some("category") => {
                categories += 1;
                category = element
                    .child("category")
                    .and_then(|element| gift::category_name(&raw(element)));
            }
            Ok(element) => collector.add(line, question(&element, category.as_deref())),
            Err(problem) => collector.fault(line, problem),
        }
        !collector.is_full()
    });
    if root.as_deref() != Some("quiz") && collector.items() == before && categories == 0 {
        collector.fault(1, Problem::syntax("not a quiz of Moodle's XML"));
    }
}

fn question(element: &Element, category: Option<&str>) -> Result<Question, Problem> {
    let body = match element.attribute("type").unwrap_or_default() {
        "multichoice" => choices(element)?,
        "truefalse" => true_false(element)?,
        "shortanswer" => short(element)?,
        "numerical" => numeric(element)?,
        "essay" => Body::Essay,
        other => return Err(Problem::unsupported(format!("the type `{}`", excerpt(other)))),
    };
    let mut feedback = element
        .child("generalfeedback")
        .map(formatted)
        .unwrap_or_default();
    if feedback.is_empty() && !matches!(body, Body::Single { .. } | Body::Multiple { .. }) {
        feedback = answer_feedback(element, &body);
    }
    let points = element
        .child("defaultgrade")
        .and_then(|element| decimal::thousandths(&element.text()));
    let tags = element
        .child("tags")
        .into_iter()
        .flat_map(|tags| tags.children_named("tag"))
        .map(raw);
    Ok(Question {
        title: element.child("name").map(raw).unwrap_or_default(),
        text: element.child("questiontext").map(formatted).unwrap_or_default(),
        body,
        points: points.unwrap_or(1000),
        tags: category.map(str::to_owned).into_iter().chain(tags).collect(),
        feedback,
    })
}

/// The content of `<text>`, or of the element itself as older versions have it.
fn raw(element: &Element) -> String {
    element.child("text").unwrap_or(element).text().trim().to_owned()
}

fn formatted(element: &Element) -> String {
    let markup = match element.attribute("format") {
        Some("html") => Markup::Html,
        Some("markdown") => Markup::Markdown,
        Some("plain_text") => Markup::Plain,
        _ => Markup::Auto,
    };
    plain_text::plain(markup, &raw(element))
}

fn credit(answer: &Element) -> Credit {
    // In the oldest files the fraction is an element.
    let inner = || answer.child("fraction").map(Element::text);
    let fraction = answer.attribute("fraction").map(str::to_owned).or_else(inner);
    fraction
        .and_then(|fraction| decimal::credit_of_percent(&fraction))
        .unwrap_or(0)
}

fn feedback(answer: &Element) -> String {
    answer.child("feedback").map(formatted).unwrap_or_default()
}

/// Feedback of answers that cannot carry it.
fn answer_feedback(element: &Element, body: &Body) -> String {
    let answers: Vec<&Element> = element.children_named("answer").collect();
    if let (Body::TrueFalse { .. }, [one, other]) = (body, answers.as_slice()) {
        return only_one(&feedback(one), &feedback(other)).to_owned();
    }
    let best = answers
        .into_iter()
        .filter(|answer| credit(answer) == FULL)
        .map(feedback);
    best.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn choices(element: &Element) -> Result<Body, Problem> {
    let choices: Vec<Choice> = element
        .children_named("answer")
        .map(|answer| Choice {
            text: formatted(answer),
            credit: credit(answer),
            feedback: feedback(answer),
        })
        .collect();
    let single = element.child("single").map(raw).unwrap_or_default();
    match single.as_str() {
        "" | "true" | "1" => Ok(Body::Single { choices }),
        "false" | "0" => Ok(Body::Multiple { choices }),
        other => Err(Problem::syntax(format!("`single` is `{}`", excerpt(other)))),
    }
}

fn true_false(element: &Element) -> Result<Body, Problem> {
    for answer in element.children_named("answer") {
        let text = raw(answer).to_ascii_lowercase();
        if credit(answer) == FULL && (text == "true" || text == "false") {
            return Ok(Body::TrueFalse {
                answer: text == "true",
            });
        }
    }
    Err(Problem::no_answer("neither true nor false gives full credit"))
}

fn short(element: &Element) -> Result<Body, Problem> {
    let mut accepted = Vec::new();
    for answer in element.children_named("answer") {
        let credit = credit(answer);
        if credit > 0 {
            let text = wildcard::literal(&formatted(answer))?;
            accepted.push(TextAnswer { text, credit });
        }
    }
    let case_sensitive = element
        .child("usecase")
        .is_some_and(|usecase| matches!(raw(usecase).as_str(), "1" | "true"));
    Ok(Body::Short {
        accepted,
        case_sensitive,
    })
}

fn numeric(element: &Element) -> Result<Body, Problem> {
    let mut accepted = Vec::new();
    for answer in element.children_named("answer") {
        let credit = credit(answer);
        let value = raw(answer);
        if credit > 0 && value == "*" {
            return Err(Problem::unsupported("a number with a wildcard"));
        }
        if credit > 0 {
            let tolerance = answer
                .child("tolerance")
                .map(raw)
                .filter(|tolerance| !tolerance.is_empty());
            accepted.push(NumericAnswer {
                value,
                tolerance: tolerance.unwrap_or_else(|| "0".to_owned()),
                credit,
            });
        }
    }
    Ok(Body::Numeric { accepted })
}

#[cfg(test)]
mod tests;
