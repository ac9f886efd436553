//! Items of QTI 1.2, as Canvas, Blackboard, Common Cartridge and others write them.

mod score;

use super::true_false;
use crate::decimal::{self, Decimal};
use crate::gift::BLANK;
use crate::normal::{excerpt, require_few};
use crate::plain_text::{Writer, write_children};
use crate::problem::Problem;
use crate::xml::{Element, Node};
use crate::{Body, Choice, FULL, NumericAnswer, Question, TextAnswer, credit};
use score::Scoring;

/// What Canvas calls the types that can be asked.
const TYPES: [&str; 6] = [
    "multiple_choice_question",
    "multiple_answers_question",
    "true_false_question",
    "short_answer_question",
    "numerical_question",
    "essay_question",
];

const RESPONSES: [&str; 5] = [
    "response_lid",
    "response_str",
    "response_num",
    "response_xy",
    "response_grp",
];

pub(super) fn question(item: &Element) -> Result<Question, Problem> {
    let kind = metadata(item, "question_type").unwrap_or_default();
    if kind.ends_with("_question") && !TYPES.contains(&kind.as_str()) {
        return Err(Problem::unsupported(format!("the type `{}`", excerpt(&kind))));
    }
    if !item.descendants_named("calculated").is_empty() {
        return Err(Problem::unsupported("a number that is calculated"));
    }
    let Some(presentation) = item.child("presentation") else {
        return Err(Problem::unsupported("there is nothing to answer"));
    };
    let responses = presentation.descendants(&|element| RESPONSES.contains(&element.name.as_str()));
    let response = match responses.as_slice() {
        [] => return Err(Problem::unsupported("there is nothing to answer")),
        [response] => response,
        _ => {
            return Err(Problem::unsupported(format!(
                "{} answers are asked for",
                responses.len()
            )));
        }
    };
    let scoring = Scoring::new(item);
    let mut feedback = first_feedback(item, &["general_fb", "solution"]);
    let is_essay =
        kind == "essay_question" || metadata(item, "cc_profile").is_some_and(|kind| kind.contains("essay"));
    let mut body = match response.name.as_str() {
        "response_lid" => choices(item, response, &scoring)?,
        "response_str" | "response_num" if is_essay => Body::Essay,
        "response_str" | "response_num" => written(response, &kind, &scoring)?,
        _ => return Err(Problem::unsupported(format!("`{}`", response.name))),
    };
    let as_true_false = match &body {
        Body::Single { choices } => true_false(choices),
        _ => None,
    };
    if let Some((true_false, own)) = as_true_false {
        body = true_false;
        feedback = if feedback.is_empty() { own } else { feedback };
    }
    if feedback.is_empty() {
        feedback = first_feedback(item, &["correct_fb", "correct", "Correct"]);
    }
    let points = metadata(item, "points_possible").and_then(|points| decimal::thousandths(&points));
    Ok(Question {
        title: item.attribute("title").unwrap_or_default().to_owned(),
        text: stem(presentation),
        body,
        points: points.unwrap_or(1000),
        tags: Vec::new(),
        feedback,
    })
}

fn metadata(item: &Element, label: &str) -> Option<String> {
    let fields = item.descendants_named("qtimetadatafield");
    let field = fields.into_iter().find(|field| {
        field
            .child("fieldlabel")
            .is_some_and(|found| found.text().trim() == label)
    })?;
    Some(field.child("fieldentry")?.text().trim().to_owned())
}

fn stem(presentation: &Element) -> String {
    let mut writer = Writer::new(false);
    write_children(presentation, &mut writer, write_material);
    let text = writer.finish();
    text.strip_suffix(BLANK)
        .map_or_else(|| text.clone(), |text| text.trim_end().to_owned())
}

fn material(element: &Element) -> String {
    let mut writer = Writer::new(false);
    write_children(element, &mut writer, write_material);
    writer.finish()
}

/// Responses leave a gap, and texts tell their markup.
fn write_material(element: &Element, writer: &mut Writer) -> bool {
    match element.name.as_str() {
        "response_str" | "response_num" => writer.text(BLANK),
        name if RESPONSES.contains(&name) => {}
        "mattext" => {
            let is_plain = element.children.iter().all(|node| matches!(node, Node::Text(_)));
            let is_html = element
                .attribute("texttype")
                .is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
            if !is_plain {
                return false;
            }
            if is_html {
                writer.html(&element.text());
            } else {
                writer.text(&element.text());
            }
        }
        "flow" | "flow_mat" => {
            writer.paragraph();
            write_children(element, writer, write_material);
            writer.paragraph();
        }
        "matbreak" => writer.empty("br", &|_| None),
        "matimage" => writer.empty("img", &|_| element.attribute("label").map(str::to_owned)),
        _ => return false,
    }
    true
}

fn feedback(item: &Element, id: &str) -> String {
    let found = item
        .children_named("itemfeedback")
        .find(|feedback| feedback.attribute("ident") == Some(id));
    found.map(material).unwrap_or_default()
}

fn first_feedback(item: &Element, ids: &[&str]) -> String {
    let mut texts = ids.iter().map(|id| feedback(item, id));
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

fn choices(item: &Element, response: &Element, scoring: &Scoring<'_>) -> Result<Body, Problem> {
    let cardinality = response
        .attribute("rcardinality")
        .unwrap_or("Single")
        .to_ascii_lowercase();
    if cardinality == "ordered" || response.descendants_named("render_choice").is_empty() {
        return Err(Problem::unsupported(
            "the choices are ordered or placed, not picked",
        ));
    }
    // Canvas keeps lines of a form that were left empty.
    let is_filled =
        |label: &&Element| !label.text().trim().is_empty() || !label.descendants_named("matimage").is_empty();
    let labels = response
        .descendants_named("response_label")
        .into_iter()
        .filter(is_filled);
    let labels: Vec<&Element> = labels.collect();
    require_few(labels.len())?;
    let ids: Vec<&str> = labels
        .iter()
        .map(|label| label.attribute("ident").unwrap_or_default())
        .collect();
    let credits = if cardinality == "multiple" {
        scoring.multiple(&ids)
    } else {
        let scores: Vec<i64> = ids.iter().map(|id| scoring.run(&[id], false).score).collect();
        credit::best(&scores)
    };
    let credits = credits.ok_or_else(|| Problem::no_answer("no choice gives a score"))?;
    let own = scoring.own_feedback(&ids);
    let choices = labels
        .iter()
        .zip(own)
        .zip(credits)
        .map(|((label, own), credit)| Choice {
            text: material(label),
            credit,
            feedback: own.map(|id| feedback(item, id)).unwrap_or_default(),
        });
    let choices = choices.collect();
    Ok(if cardinality == "multiple" {
        Body::Multiple { choices }
    } else {
        Body::Single { choices }
    })
}

fn written(response: &Element, kind: &str, scoring: &Scoring<'_>) -> Result<Body, Problem> {
    let Some(fib) = response.descendants_named("render_fib").into_iter().next() else {
        return Err(Problem::unsupported("an answer that is not written"));
    };
    let fib_kind = fib.attribute("fibtype").unwrap_or("String").to_ascii_lowercase();
    let is_number = kind == "numerical_question" || response.name == "response_num";
    if is_number || matches!(fib_kind.as_str(), "decimal" | "integer" | "scientific") {
        return numeric(scoring);
    }
    let answers = scoring.texts();
    if answers.is_empty() && kind != "short_answer_question" {
        return Ok(Body::Essay);
    }
    let scores: Vec<i64> = answers.iter().map(|answer| answer.score).collect();
    let credits = credit::best(&scores).ok_or_else(|| Problem::no_answer("no text gives a score"))?;
    let case_sensitive = answers.iter().any(|answer| answer.case_sensitive);
    let accepted = answers
        .into_iter()
        .zip(credits)
        .map(|(answer, credit)| TextAnswer {
            text: answer.text,
            credit,
        });
    Ok(Body::Short {
        accepted: accepted.collect(),
        case_sensitive,
    })
}

fn numeric(scoring: &Scoring<'_>) -> Result<Body, Problem> {
    let ranges = scoring.ranges()?;
    let scores: Vec<i64> = ranges.iter().map(|range| range.score).collect();
    let credits = credit::best(&scores).ok_or_else(|| Problem::no_answer("no number gives a score"))?;
    let mut accepted = Vec::new();
    for (range, credit) in ranges.into_iter().zip(credits) {
        let (value, tolerance) = match range.high {
            None => (range.low, "0".to_owned()),
            Some(high) => {
                let ends = Decimal::parse(&range.low).zip(Decimal::parse(&high));
                let middle = ends.and_then(|(low, high)| Decimal::middle(low, high));
                let texts = middle.and_then(|(middle, half)| Some((middle.text()?, half.text()?)));
                texts.ok_or_else(|| {
                    Problem::syntax(format!(
                        "`{}` to `{}` is not a range",
                        excerpt(&range.low),
                        excerpt(&high)
                    ))
                })?
            }
        };
        accepted.push(NumericAnswer {
            value,
            tolerance,
            credit: credit.min(FULL),
        });
    }
    Ok(Body::Numeric { accepted })
}
