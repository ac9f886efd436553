//! What comments carry: `// [id:7] [tag:algebra]`.
//!
//! `tag` and `id` are Moodle's. `points`, `case` and `type` are ours: other programs see mere comments. A backslash
//! stands before `]` and `\` in a value.

use crate::decimal;

#[derive(Default)]
pub(super) struct Notes {
    pub(super) tags: Vec<String>,
    pub(super) points: Option<u32>,
    pub(super) case_sensitive: bool,
    /// The answers are texts although they look like pairs.
    pub(super) short: bool,
}

impl Notes {
    pub(super) fn take(&mut self, comment: &str) {
        let mut rest = comment;
        while let Some((_, start)) = rest.split_once('[') {
            let Some((value, after)) = value(start) else {
                return;
            };
            match value.split_once(':') {
                Some(("tag", tag)) => self.tags.push(tag.to_owned()),
                Some(("points", points)) => self.points = decimal::thousandths(points).or(self.points),
                Some(("case", "sensitive")) => self.case_sensitive = true,
                Some(("type", "short")) => self.short = true,
                _ => {}
            }
            rest = after;
        }
    }
}

/// Up to the closing bracket, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ']' => return Some((out, text.get(at + 1..)?)),
            '\\' => out.push(characters.next()?.1),
            _ => out.push(character),
        }
    }
    None
}

/// The counterpart of [`Notes::take`].
pub(super) fn write(key: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace(']', "\\]");
    format!("[{key}:{value}]")
}
