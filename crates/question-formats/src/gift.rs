//! GIFT, the text format of Moodle.
//!
//! Questions are parted by empty lines. A question with feedback for answers that cannot carry it (true/false,
//! numbers, short answers) keeps it as its own feedback when it has no general one.

mod answers;
mod notes;
mod text;
mod write;

use crate::Question;
use crate::problem::Problem;
use crate::source::Collector;
use answers::Answers;
use notes::Notes;
pub use write::write_gift;

/// Stands where the answers are asked for within a sentence.
pub(crate) const BLANK: &str = "_____";

pub(crate) fn read(source: &str, collector: &mut Collector<'_>) {
    let mut category = None;
    let mut notes = Notes::default();
    let mut block = Block::default();
    let mut lines = source.lines().zip(1_u32..).peekable();
    while let Some((line, number)) = lines.next() {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix("//") {
            notes.take(comment);
        } else if let Some(path) = trimmed.strip_prefix("$CATEGORY:").filter(|_| !block.is_open()) {
            block.close(category.as_deref(), &mut notes, collector);
            category = category_name(&text::unescape(path));
        } else if !trimmed.is_empty() {
            block.add(line, number);
        } else if !block.is_open() || !lines.peek().is_some_and(|(next, _)| continues_answers(next)) {
            block.close(category.as_deref(), &mut notes, collector);
        }
        if collector.is_full() {
            return;
        }
    }
    block.close(category.as_deref(), &mut notes, collector);
}

/// Empty lines among answers are no end, unless an answer block has simply not been closed.
fn continues_answers(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with(['=', '~', '#', '}'])
}

/// `$course$/top/A/B` is `A/B`.
pub(crate) fn category_name(path: &str) -> Option<String> {
    let mut steps: Vec<&str> = path.trim().split('/').map(str::trim).collect();
    if steps
        .first()
        .is_some_and(|step| step.len() > 1 && step.starts_with('$') && step.ends_with('$'))
    {
        steps.remove(0);
    }
    if steps.first() == Some(&"top") {
        steps.remove(0);
    }
    let name = steps.join("/");
    (!name.is_empty()).then_some(name)
}

/// The lines of one question.
#[derive(Default)]
struct Block {
    source: String,
    line: u32,
    braces: i32,
}

impl Block {
    fn is_open(&self) -> bool {
        self.braces > 0
    }

    fn add(&mut self, line: &str, number: u32) {
        if self.source.is_empty() {
            self.line = number;
        }
        self.source.push_str(line);
        self.source.push('\n');
        for (_, character) in text::unescaped(line) {
            match character {
                '{' => self.braces += 1,
                '}' => self.braces -= 1,
                _ => {}
            }
        }
    }

    fn close(&mut self, category: Option<&str>, notes: &mut Notes, collector: &mut Collector<'_>) {
        let block = std::mem::take(self);
        if block.source.trim().is_empty() {
            return;
        }
        let notes = std::mem::take(notes);
        collector.add(block.line, question(&block.source, category, &notes));
    }
}

fn question(source: &str, category: Option<&str>, notes: &Notes) -> Result<Question, Problem> {
    let source = source.trim();
    let (title, rest) = title(source)?;
    let Some((before, rest)) = text::split_at(rest, '{') else {
        return Err(Problem::unsupported("a description has nothing to answer"));
    };
    let Some((answers, after)) = text::split_at(rest, '}') else {
        return Err(Problem::syntax("the answers have no closing brace"));
    };
    if text::split_at(answers, '{').is_some() || text::split_at(after, '{').is_some() {
        return Err(Problem::syntax(
            "a second opening brace; within a text it has a backslash before it",
        ));
    }
    let (markup, before) = text::markup(before);
    let mut stem = before.to_owned();
    if !after.trim().is_empty() {
        stem.push_str(BLANK);
        stem.push_str(after);
    }
    let Answers { body, feedback } = answers::read(answers, markup, notes)?;
    let text = text::plain(&stem, markup);
    // Moodle shows a question without a text by its name.
    let text = if text.is_empty() { title.clone() } else { text };
    Ok(Question {
        title,
        text,
        body,
        points: notes.points.unwrap_or(1000),
        tags: category
            .into_iter()
            .map(str::to_owned)
            .chain(notes.tags.iter().cloned())
            .collect(),
        feedback,
    })
}

fn title(source: &str) -> Result<(String, &str), Problem> {
    let Some(rest) = source.strip_prefix("::") else {
        return Ok((String::new(), source));
    };
    let mut last_colon = None;
    for (at, character) in text::unescaped(rest) {
        if character == ':' {
            if last_colon.is_some_and(|last| last + 1 == at) {
                let title = rest.get(..at - 1).unwrap_or_default();
                return Ok((text::unescape(title), rest.get(at + 1..).unwrap_or_default()));
            }
            last_colon = Some(at);
        }
    }
    Err(Problem::syntax("the title has no closing `::`"))
}

#[cfg(test)]
mod tests;
