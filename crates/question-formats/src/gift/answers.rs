//! What stands between the braces.

use super::notes::Notes;
use super::text;
use crate::decimal::{self, Decimal};
use crate::normal::excerpt;
use crate::plain_text::Markup;
use crate::problem::Problem;
use crate::wildcard;
use crate::{Body, Choice, Credit, FULL, NumericAnswer, TextAnswer, credit};

pub(super) struct Answers {
    pub(super) body: Body,
    pub(super) feedback: String,
}

struct Answer<'a> {
    /// Marked by `=`, not by `~`.
    right: bool,
    weight: Option<Credit>,
    text: &'a str,
    feedback: &'a str,
}

impl Answer<'_> {
    fn credit(&self) -> Credit {
        self.weight.unwrap_or(if self.right { FULL } else { 0 })
    }
}

pub(super) fn read(source: &str, markup: Markup, notes: &Notes) -> Result<Answers, Problem> {
    let (source, general) = text::split_general_feedback(source);
    let source = source.trim();
    let (body, answer_feedback) = if source.is_empty() {
        (Body::Essay, "")
    } else if let Some(numbers) = source.strip_prefix('#') {
        numeric(numbers)?
    } else if let Some((answer, feedback)) = true_or_false(source) {
        (Body::TrueFalse { answer }, feedback)
    } else {
        choices_or_texts(source, markup, notes)?
    };
    let general = text::answer(general, markup);
    let feedback = if general.is_empty() {
        text::answer(answer_feedback, markup)
    } else {
        general
    };
    Ok(Answers { body, feedback })
}

/// The feedback for a wrong answer explains more than that for the right one.
fn true_or_false(source: &str) -> Option<(bool, &str)> {
    let (word, feedback) = text::split_at(source, '#').unwrap_or((source, ""));
    let answer = match word.trim().to_ascii_uppercase().as_str() {
        "T" | "TRUE" => true,
        "F" | "FALSE" => false,
        _ => return None,
    };
    let (wrong, right) = text::split_at(feedback, '#').unwrap_or((feedback, ""));
    Some((answer, if wrong.trim().is_empty() { right } else { wrong }))
}

fn numeric(source: &str) -> Result<(Body, &str), Problem> {
    // What follows `~` is feedback for all other numbers.
    let (source, others) = text::split_at(source, '~').unwrap_or((source, ""));
    let parts = split_answers(source);
    let first = parts.first().filter(|part| !part.text.trim().is_empty());
    let answers: Vec<&Answer<'_>> = match first {
        Some(first) => vec![first],
        None => parts.iter().skip(1).collect(),
    };
    let mut accepted = Vec::new();
    for answer in &answers {
        let text = text::unescape(answer.text);
        if answer.credit() > 0 {
            accepted.push(number(text.trim(), answer.credit())?);
        }
    }
    let best = answers
        .iter()
        .find(|answer| answer.credit() == FULL && !answer.feedback.trim().is_empty());
    let others = text::split_at(others, '#').map_or("", |(_, feedback)| feedback);
    let feedback = best.map_or(others, |answer| answer.feedback);
    Ok((Body::Numeric { accepted }, feedback))
}

/// `value`, `value:tolerance` or `least..most`.
fn number(text: &str, credit: Credit) -> Result<NumericAnswer, Problem> {
    if let Some((low, high)) = text.split_once("..") {
        let range = Decimal::parse(low)
            .zip(Decimal::parse(high))
            .and_then(|(low, high)| Decimal::middle(low, high));
        let texts = range.and_then(|(middle, half)| Some((middle.text()?, half.text()?)));
        let Some((value, tolerance)) = texts else {
            return Err(Problem::syntax(format!(
                "`{}` is not a range of numbers",
                excerpt(text)
            )));
        };
        return Ok(NumericAnswer {
            value,
            tolerance,
            credit,
        });
    }
    let (value, tolerance) = text.split_once(':').unwrap_or((text, "0"));
    let normal = |text: &str| {
        decimal::normal(text).ok_or_else(|| Problem::syntax(format!("`{}` is not a number", excerpt(text))))
    };
    Ok(NumericAnswer {
        value: normal(value)?,
        tolerance: normal(tolerance)?,
        credit,
    })
}

fn choices_or_texts<'a>(source: &'a str, markup: Markup, notes: &Notes) -> Result<(Body, &'a str), Problem> {
    let mut parts = split_answers(source).into_iter();
    if let Some(first) = parts.next().filter(|first| !first.text.trim().is_empty()) {
        let message = format!("`{}` is not marked by `=` or `~`", excerpt(first.text));
        return Err(Problem::syntax(message));
    }
    let answers: Vec<Answer<'_>> = parts.collect();
    if answers.iter().any(|answer| !answer.right) {
        return Ok((choices(&answers, markup), ""));
    }
    let is_pair = |answer: &Answer<'_>| answer.text.contains("->");
    if !notes.short && answers.iter().all(is_pair) {
        return Err(Problem::unsupported("pairs to match"));
    }
    let mut accepted = Vec::new();
    for answer in &answers {
        let credit = answer.credit();
        if credit > 0 {
            let text = wildcard::literal(&text::answer(answer.text, markup))?;
            accepted.push(TextAnswer { text, credit });
        }
    }
    let best = answers
        .iter()
        .find(|answer| answer.credit() == FULL && !answer.feedback.trim().is_empty());
    let case_sensitive = notes.case_sensitive;
    let body = Body::Short {
        accepted,
        case_sensitive,
    };
    Ok((body, best.map_or("", |answer| answer.feedback)))
}

fn choices(answers: &[Answer<'_>], markup: Markup) -> Body {
    let mut choices: Vec<Choice> = answers
        .iter()
        .map(|answer| Choice {
            text: text::answer(answer.text, markup),
            credit: answer.credit(),
            feedback: text::answer(answer.feedback, markup),
        })
        .collect();
    if answers.iter().any(|answer| answer.right) {
        return Body::Single { choices };
    }
    let weights: Vec<i64> = choices.iter().map(|choice| i64::from(choice.credit)).collect();
    for (choice, credit) in choices.iter_mut().zip(credit::share(&weights)) {
        choice.credit = credit;
    }
    Body::Multiple { choices }
}

/// The first one is what stands before the first mark, if anything.
fn split_answers(source: &str) -> Vec<Answer<'_>> {
    let marks: Vec<(usize, char)> = text::unescaped(source)
        .filter(|(_, c)| *c == '=' || *c == '~')
        .collect();
    let starts = std::iter::once((0, '=', 0)).chain(marks.iter().map(|(at, mark)| (at + 1, *mark, *at)));
    let ends = marks
        .iter()
        .map(|(at, _)| *at)
        .chain(std::iter::once(source.len()));
    starts
        .zip(ends)
        .map(|((start, mark, _), end)| {
            let part = source.get(start..end).unwrap_or_default();
            let (weight, part) = weight(part);
            let (text, feedback) = text::split_at(part, '#').unwrap_or((part, ""));
            Answer {
                right: mark == '=',
                weight,
                text,
                feedback,
            }
        })
        .collect()
}

/// `%50%` in front of an answer.
fn weight(part: &str) -> (Option<Credit>, &str) {
    let Some((number, rest)) = part
        .trim_start()
        .strip_prefix('%')
        .and_then(|rest| rest.split_once('%'))
    else {
        return (None, part);
    };
    match decimal::credit_of_percent(number) {
        Some(credit) => (Some(credit), rest),
        None => (None, part),
    }
}
