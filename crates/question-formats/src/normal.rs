//! The normal form of a question.
//!
//! Each question that is read is in normal form, and what is written is brought to it first:
//!
//! - Title and tags are one line, with single spaces; tags are not empty and there are no two alike.
//! - Texts have `\n` as the line end, no space around, and no character U+0000; the text of the question and those of
//!   its choices and short answers are not empty.
//! - There are two choices or more. A single choice has one with full credit. The credits above zero of a multiple
//!   choice add up to full credit (see [`crate::credit::share`]).
//! - Numbers have no plus, no exponent, and digits on both sides of a point; tolerances are not below zero.
//! - Only answers that give credit are accepted ones, no two alike, and one of them gives full credit.
//! - There are no more choices, answers or tags than [`MOST`].

use crate::problem::Problem;
use crate::{Body, Choice, FULL, NumericAnswer, Question, TextAnswer, credit, decimal};

/// More choices, answers or tags than any question has, and few enough to compare each with each.
pub(crate) const MOST: usize = 200;

pub(crate) fn require_few(count: usize) -> Result<(), Problem> {
    if count > MOST {
        return Err(Problem::too_large(format!(
            "more than {MOST} choices, answers or tags"
        )));
    }
    Ok(())
}

pub(crate) fn normal(question: Question) -> Result<Question, Problem> {
    let text = lines(&question.text);
    if text.is_empty() {
        return Err(Problem::empty("the question has no text"));
    }
    require_few(question.tags.len())?;
    let mut tags: Vec<String> = Vec::new();
    for tag in &question.tags {
        let tag = one_line(tag);
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(Question {
        title: one_line(&question.title),
        text,
        body: body(question.body)?,
        points: question.points,
        tags,
        feedback: lines(&question.feedback),
    })
}

pub(crate) fn lines(text: &str) -> String {
    let text = text.trim();
    if text.contains(['\r', '\0']) {
        return text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\0', "")
            .trim()
            .to_owned();
    }
    text.to_owned()
}

pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == '\0')
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

fn body(body: Body) -> Result<Body, Problem> {
    Ok(match body {
        Body::Single { choices } => {
            let choices = self::choices(choices)?;
            require_full(choices.iter().map(|choice| choice.credit))?;
            Body::Single { choices }
        }
        Body::Multiple { choices } => {
            let mut choices = self::choices(choices)?;
            let weights: Vec<i64> = choices.iter().map(|choice| i64::from(choice.credit)).collect();
            for (choice, credit) in choices.iter_mut().zip(credit::share(&weights)) {
                choice.credit = credit;
            }
            if choices.iter().all(|choice| choice.credit <= 0) {
                return Err(Problem::no_answer("no choice gives credit"));
            }
            Body::Multiple { choices }
        }
        Body::Numeric { accepted } => numeric(accepted)?,
        Body::Short {
            accepted,
            case_sensitive,
        } => short(accepted, case_sensitive)?,
        Body::TrueFalse { .. } | Body::Essay => body,
    })
}

fn choices(choices: Vec<Choice>) -> Result<Vec<Choice>, Problem> {
    require_few(choices.len())?;
    if choices.len() < 2 {
        return Err(Problem::syntax("there are fewer than two choices"));
    }
    choices
        .into_iter()
        .map(|choice| {
            let text = lines(&choice.text);
            if text.is_empty() {
                return Err(Problem::empty("a choice has no text"));
            }
            Ok(Choice {
                text,
                credit: choice.credit.clamp(-FULL, FULL),
                feedback: lines(&choice.feedback),
            })
        })
        .collect()
}

fn numeric(answers: Vec<NumericAnswer>) -> Result<Body, Problem> {
    require_few(answers.len())?;
    let mut accepted: Vec<NumericAnswer> = Vec::new();
    for answer in answers {
        let number = |text: &str| {
            decimal::normal(text)
                .ok_or_else(|| Problem::syntax(format!("`{}` is not a number", excerpt(text))))
        };
        if answer.credit <= 0 {
            continue;
        }
        let answer = NumericAnswer {
            value: number(&answer.value)?,
            tolerance: number(&answer.tolerance)?,
            credit: answer.credit.min(FULL),
        };
        if answer.tolerance.starts_with('-') {
            return Err(Problem::syntax("a tolerance is below zero"));
        }
        if !accepted.contains(&answer) {
            accepted.push(answer);
        }
    }
    require_full(accepted.iter().map(|answer| answer.credit))?;
    Ok(Body::Numeric { accepted })
}

fn short(answers: Vec<TextAnswer>, case_sensitive: bool) -> Result<Body, Problem> {
    require_few(answers.len())?;
    let mut accepted: Vec<TextAnswer> = Vec::new();
    for answer in answers {
        let text = lines(&answer.text);
        if answer.credit <= 0 || text.is_empty() {
            continue;
        }
        let credit = answer.credit.min(FULL);
        if !accepted.iter().any(|other| other.text == text) {
            accepted.push(TextAnswer { text, credit });
        }
    }
    require_full(accepted.iter().map(|answer| answer.credit))?;
    Ok(Body::Short {
        accepted,
        case_sensitive,
    })
}

fn require_full(mut credits: impl Iterator<Item = i32>) -> Result<(), Problem> {
    if credits.any(|credit| credit == FULL) {
        return Ok(());
    }
    Err(Problem::no_answer("no answer gives full credit"))
}

/// Feedback that stands for a whole true/false question: of its two answers, only one has any. When both have, each
/// says no more than whether the answer was right.
pub(crate) fn only_one<'a>(one: &'a str, other: &'a str) -> &'a str {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other,
        (_, true) => one,
        _ => "",
    }
}

/// The start of a text for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let text = one_line(text);
    if text.chars().count() <= 40 {
        return text;
    }
    let start: String = text.chars().take(39).collect();
    format!("{start}…")
}
