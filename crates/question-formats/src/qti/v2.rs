//! Items of QTI 2.x and, under the names of version 2, of QTI 3.0.

mod response;

use super::true_false;
use crate::gift::BLANK;
use crate::normal::{excerpt, require_few};
use crate::plain_text::{Writer, write_children};
use crate::problem::Problem;
use crate::xml::Element;
use crate::{Body, Choice, FULL, Question, TextAnswer, credit, decimal};
use response::Response;

pub(super) fn question(item: &Element) -> Result<Question, Problem> {
    if item.attribute("adaptive") == Some("true") {
        return Err(Problem::unsupported("the item is adaptive"));
    }
    if item.child("templateDeclaration").is_some() {
        return Err(Problem::unsupported("the item is a template with variables"));
    }
    let Some(body) = item.child("itemBody") else {
        return Err(Problem::syntax("the item has no body"));
    };
    let interactions = body.descendants(&|element| element.name.ends_with("Interaction"));
    let interaction = match interactions.as_slice() {
        [] => return Err(Problem::unsupported("there is nothing to answer")),
        [interaction] => interaction,
        _ => {
            return Err(Problem::unsupported(format!(
                "{} interactions",
                interactions.len()
            )));
        }
    };
    let response = Response::of(item, interaction);
    let mut feedback = general_feedback(item);
    let question_body = match interaction.name.as_str() {
        "choiceInteraction" => match choices(item, interaction, &response)? {
            Body::Single { choices } => match true_false(&choices) {
                Some((body, own)) => {
                    if feedback.is_empty() {
                        feedback = own;
                    }
                    body
                }
                None => Body::Single { choices },
            },
            body => body,
        },
        "textEntryInteraction" => text_entry(&response)?,
        "extendedTextInteraction" => Body::Essay,
        other => return Err(Problem::unsupported(format!("`{}`", excerpt(other)))),
    };
    Ok(Question {
        title: item.attribute("title").unwrap_or_default().to_owned(),
        text: stem(body),
        body: question_body,
        points: points(item),
        tags: Vec::new(),
        feedback,
    })
}

fn stem(body: &Element) -> String {
    let mut writer = Writer::new(false);
    write_children(body, &mut writer, write_part);
    let text = writer.finish();
    // A gap on a line of its own says nothing.
    let without = text
        .strip_suffix(BLANK)
        .filter(|text| text.ends_with('\n'))
        .map(|text| text.trim_end().to_owned());
    without.unwrap_or(text)
}

/// The body of an item without what only others see, or only after the answer.
fn write_part(element: &Element, writer: &mut Writer) -> bool {
    match element.name.as_str() {
        "rubricBlock" | "feedbackBlock" | "feedbackInline" | "modalFeedback" | "templateBlock"
        | "templateInline" | "stylesheet" | "catalogInfo" | "simpleChoice" => {}
        "textEntryInteraction" => writer.text(BLANK),
        "prompt" => {
            writer.paragraph();
            write_children(element, writer, write_part);
            writer.paragraph();
        }
        "choiceInteraction" | "extendedTextInteraction" => {
            writer.paragraph();
            for prompt in element.children_named("prompt") {
                write_part(prompt, writer);
            }
        }
        _ => return false,
    }
    true
}

fn inner_text(element: &Element) -> String {
    let mut writer = Writer::new(false);
    write_children(element, &mut writer, write_part);
    writer.finish()
}

/// An outcome's default value.
fn outcome<'a>(item: &'a Element, name: &str) -> Option<&'a Element> {
    item.children_named("outcomeDeclaration")
        .find(|outcome| outcome.attribute("identifier") == Some(name))
}

fn points(item: &Element) -> u32 {
    let most = outcome(item, "MAXSCORE")
        .and_then(|outcome| outcome.child("defaultValue"))
        .map(Element::text);
    let normal = || {
        outcome(item, "SCORE")?
            .attribute("normalMaximum")
            .map(str::to_owned)
    };
    let points = most
        .or_else(normal)
        .and_then(|points| decimal::thousandths(&points));
    points.filter(|points| *points > 0).unwrap_or(1000)
}

fn general_feedback(item: &Element) -> String {
    for wanted in ["general", "solution", "correct"] {
        for feedback in item.children_named("modalFeedback") {
            let name = feedback
                .attribute("identifier")
                .unwrap_or_default()
                .to_ascii_lowercase();
            let matches = if wanted == "correct" {
                name == wanted
            } else {
                name.contains(wanted)
            };
            let text = if matches {
                inner_text(feedback)
            } else {
                String::new()
            };
            if !text.is_empty() {
                return text;
            }
        }
    }
    String::new()
}

fn choice_feedback(item: &Element, choice: &Element, id: &str) -> String {
    let inline = choice.descendants_named("feedbackInline").into_iter();
    let modal = item
        .children_named("modalFeedback")
        .filter(|feedback| feedback.attribute("identifier") == Some(id));
    let mut texts = inline.chain(modal).map(inner_text);
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

fn choices(item: &Element, interaction: &Element, response: &Response<'_>) -> Result<Body, Problem> {
    let elements = interaction.descendants_named("simpleChoice");
    let ids: Vec<&str> = elements
        .iter()
        .map(|choice| choice.attribute("identifier").unwrap_or_default())
        .collect();
    require_few(ids.len())?;
    let single = response.cardinality != "multiple" || interaction.attribute("maxChoices") == Some("1");
    let right: Vec<bool> = ids
        .iter()
        .map(|id| response.correct.iter().any(|correct| correct == id))
        .collect();
    let weights = response
        .uses_mapping
        .then(|| ids.iter().map(|id| response.mapped(id)).collect::<Vec<i64>>());
    let weights = weights.filter(|weights| weights.iter().any(|weight| *weight > 0));
    let credits = match (weights, single) {
        (Some(weights), true) => credit::best(&weights),
        (Some(weights), false) => Some(credit::share(&weights)),
        (None, true) => Some(right.iter().map(|right| if *right { FULL } else { 0 }).collect()),
        (None, false) => Some(credit::even(&right)),
    };
    let credits = credits.filter(|credits| credits.iter().any(|credit| *credit > 0));
    let credits = credits.ok_or_else(|| Problem::no_answer("no choice is declared to be right"))?;
    let choices = elements
        .iter()
        .zip(ids)
        .zip(credits)
        .map(|((choice, id), credit)| Choice {
            text: inner_text(choice),
            credit,
            feedback: choice_feedback(item, choice, id),
        });
    let choices = choices.collect();
    Ok(if single {
        Body::Single { choices }
    } else {
        Body::Multiple { choices }
    })
}

fn text_entry(response: &Response<'_>) -> Result<Body, Problem> {
    if matches!(response.base_type, "float" | "integer") {
        return Ok(Body::Numeric {
            accepted: response.numbers()?,
        });
    }
    if response.base_type != "string" || response.cardinality == "record" {
        return Err(Problem::unsupported(format!(
            "a written answer of the type `{}`",
            excerpt(response.base_type)
        )));
    }
    if response.is_matched_by_pattern() {
        return Err(Problem::unsupported(
            "a written answer that only has to match a pattern",
        ));
    }
    let accepted = response
        .answers()?
        .into_iter()
        .map(|(text, credit)| TextAnswer { text, credit });
    Ok(Body::Short {
        accepted: accepted.collect(),
        case_sensitive: response.case_sensitive(),
    })
}
