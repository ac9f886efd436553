//! Escapes and markup prefixes.

use crate::plain_text::{self, Markup};

/// Characters that a backslash takes their meaning from.
pub(super) const SPECIAL: [char; 7] = ['~', '=', '#', '{', '}', ':', '\\'];

/// The characters that no backslash stands before, with their places.
pub(super) fn unescaped(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut escaped = false;
    text.char_indices().filter(move |(_, character)| {
        let after_backslash = escaped;
        escaped = *character == '\\' && !after_backslash;
        !after_backslash && *character != '\\'
    })
}

/// Before and after the first such character that is not escaped.
pub(super) fn split_at(text: &str, wanted: char) -> Option<(&str, &str)> {
    let (at, _) = unescaped(text).find(|(_, character)| *character == wanted)?;
    Some((text.get(..at)?, text.get(at + wanted.len_utf8()..)?))
}

/// Before and after the first `####`.
pub(super) fn split_general_feedback(text: &str) -> (&str, &str) {
    let mut hashes = 0;
    let mut next = 0;
    for (at, character) in unescaped(text) {
        hashes = match character {
            '#' if hashes > 0 && at == next => hashes + 1,
            '#' => 1,
            _ => 0,
        };
        next = at + 1;
        if hashes == 4 {
            return (
                text.get(..at - 3).unwrap_or_default(),
                text.get(at + 1..).unwrap_or_default(),
            );
        }
    }
    (text, "")
}

pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some(special) if SPECIAL.contains(&special) => out.push(special),
            // A backslash before anything else is one, as in `\(x\)`.
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

const PREFIXES: [(&str, Markup); 4] = [
    ("[html]", Markup::Html),
    ("[markdown]", Markup::Markdown),
    ("[plain]", Markup::Plain),
    ("[moodle]", Markup::Auto),
];

/// The markup that a text starts with, if any, and what follows.
pub(super) fn own_markup(text: &str) -> (Option<Markup>, &str) {
    let start = text.trim_start();
    for (prefix, markup) in PREFIXES {
        if let Some(rest) = start.strip_prefix(prefix) {
            return (Some(markup), rest);
        }
    }
    (None, text)
}

pub(super) fn markup(text: &str) -> (Markup, &str) {
    let (markup, rest) = own_markup(text);
    (markup.unwrap_or(Markup::Auto), rest)
}

pub(super) fn plain(text: &str, markup: Markup) -> String {
    plain_text::plain(markup, &unescape(text))
}

/// A text among answers, with the markup of the question when it has none of its own. Lines are only wrapped there,
/// except in Markdown; a line end that counts is written `\n`.
pub(super) fn answer(text: &str, markup: Markup) -> String {
    let (own, text) = own_markup(text);
    let markup = own.unwrap_or(markup);
    if markup == Markup::Markdown {
        return plain(text, markup);
    }
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    plain(&lines.join(" "), markup)
}
