//! HTML as it is found in question banks: read as far as it goes, nothing is refused.

use super::Writer;
use crate::entity;

/// Tags that are taken for markup in a text that need not be HTML.
const KNOWN: [&str; 47] = [
    "a",
    "b",
    "i",
    "u",
    "s",
    "em",
    "strong",
    "small",
    "big",
    "sub",
    "sup",
    "p",
    "br",
    "hr",
    "div",
    "span",
    "font",
    "center",
    "img",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tr",
    "td",
    "th",
    "pre",
    "code",
    "tt",
    "kbd",
    "blockquote",
    "q",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "strike",
    "del",
    "ins",
    "mark",
];

const VOID: [&str; 8] = ["br", "hr", "img", "input", "source", "track", "wbr", "col"];

/// With `careful`, line ends count and only well-formed tags that are known are markup.
pub(super) fn read(text: &str, careful: bool) -> String {
    let mut writer = Writer::new(careful);
    if !feed(text, careful, &mut writer) && careful {
        return text.trim().to_owned();
    }
    writer.finish()
}

/// True when there was any markup.
pub(super) fn feed(text: &str, careful: bool, writer: &mut Writer) -> bool {
    let mut tags = Tags {
        careful,
        ..Tags::default()
    };
    let mut found_markup = false;
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, after) = rest.split_at(at);
        writer.text(before);
        if let Some((character, length)) = entity::at_start(after) {
            found_markup = true;
            writer.text(character.encode_utf8(&mut [0; 4]));
            rest = after.get(length..).unwrap_or_default();
            continue;
        }
        let tag = tags
            .at_start(after)
            .filter(|(tag, _)| !careful || tag.is_certain());
        let Some((tag, length)) = tag else {
            let (one, others) = after.split_at(1);
            writer.text(one);
            rest = others;
            continue;
        };
        found_markup = true;
        rest = after.get(length..).unwrap_or_default();
        write(&tag, writer);
        // What is in a script is not markup.
        if !tag.closing && (tag.name == "script" || tag.name == "style") {
            rest = after_raw(rest, &tag.name);
            writer.end(&tag.name);
        }
    }
    writer.text(rest);
    found_markup
}

fn write(tag: &Tag<'_>, writer: &mut Writer) {
    if tag.name.is_empty() {
        return;
    }
    if tag.closing {
        writer.end(&tag.name);
    } else if VOID.contains(&tag.name.as_str()) || tag.attributes.ends_with('/') {
        writer.empty(&tag.name, &|name| tag.attribute(name));
    } else {
        writer.start(&tag.name, &|name| tag.attribute(name));
    }
}

struct Tag<'a> {
    /// In lower case, without a namespace prefix; empty for comments and declarations.
    name: String,
    closing: bool,
    attributes: &'a str,
}

impl Tag<'_> {
    fn is_certain(&self) -> bool {
        KNOWN.contains(&self.name.as_str()) && {
            let mut rest = self.attributes.trim().trim_end_matches('/').trim_end();
            while let Some((_, _, others)) = next_attribute(rest) {
                rest = others;
            }
            rest.is_empty()
        }
    }

    fn attribute(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        while let Some((name, value, others)) = next_attribute(rest) {
            if name.eq_ignore_ascii_case(wanted) {
                return Some(entity::unescape(value));
            }
            rest = others;
        }
        None
    }
}

/// Name, value and the rest of `name="value" ...`.
fn next_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == ':'))?;
    let (name, rest) = text.split_at(end);
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    if name.is_empty() {
        return None;
    }
    let Some(quote) = value.chars().next().filter(|c| *c == '"' || *c == '\'') else {
        let end = value.find(|c: char| c.is_whitespace()).unwrap_or(value.len());
        let (value, rest) = value.split_at(end);
        return (!value.is_empty()).then_some((name, value, rest));
    };
    let (value, rest) = value.get(1..)?.split_once(quote)?;
    Some((name, value, rest))
}

/// How the end of a tag is found.
#[derive(Default, PartialEq, Eq)]
enum Ends {
    /// `>` within quotes is none.
    #[default]
    Quoted,
    /// A quote was never closed.
    Plain,
    /// There is no `>` any more.
    Gone,
}

/// Remembers what is not to be found any more, so that a text full of `<` is read once, not once for each of them.
#[derive(Default)]
struct Tags {
    careful: bool,
    ends: Ends,
    no_more_comment_ends: bool,
}

impl Tags {
    /// A tag, a comment or a declaration, and its length.
    fn at_start<'a>(&mut self, text: &'a str) -> Option<(Tag<'a>, usize)> {
        let rest = text.strip_prefix('<')?;
        if let Some(comment) = rest.strip_prefix("!--") {
            return self.comment(comment);
        }
        let closing = rest.starts_with('/');
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let declaration = rest.starts_with(['!', '?']);
        if !declaration && !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = self.end(rest)?;
        let inside = rest.get(..end)?;
        let length = text.len() - rest.len() + end + 1;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':' || c == '_';
        let name_end = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(name_end);
        let name = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        let tag = Tag {
            name,
            closing,
            attributes,
        };
        Some((tag, length))
    }

    fn comment<'a>(&mut self, rest: &'a str) -> Option<(Tag<'a>, usize)> {
        let end = if self.no_more_comment_ends {
            None
        } else {
            rest.find("-->")
        };
        self.no_more_comment_ends = end.is_none();
        let tag = Tag {
            name: String::new(),
            closing: false,
            attributes: "",
        };
        end.map(|end| (tag, end + "<!---->".len()))
    }

    /// Where a tag ends. When careful, a `<` outside of quotes is in no tag, so that no text is searched twice.
    fn end(&mut self, text: &str) -> Option<usize> {
        if self.ends == Ends::Gone {
            return None;
        }
        if self.ends == Ends::Quoted {
            let mut quote = None;
            for (at, byte) in text.bytes().enumerate() {
                match (quote, byte) {
                    (None, b'>') => return Some(at),
                    (None, b'<') if self.careful => return None,
                    (None, b'"' | b'\'') => quote = Some(byte),
                    (Some(open), _) if open == byte => quote = None,
                    _ => {}
                }
            }
            self.ends = Ends::Plain;
        }
        if self.careful {
            let end = text.find(['<', '>'])?;
            return text
                .get(end..)
                .is_some_and(|rest| rest.starts_with('>'))
                .then_some(end);
        }
        let end = text.find('>');
        if end.is_none() {
            self.ends = Ends::Gone;
        }
        end
    }
}

/// What follows `</script>`.
fn after_raw<'a>(text: &'a str, name: &str) -> &'a str {
    let end = format!("</{name}");
    let matches = |at: usize| {
        text.get(at..at + end.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(&end))
    };
    let found = text.match_indices("</").map(|(at, _)| at).find(|at| matches(*at));
    let after = found.and_then(|at| text.get(at..)).unwrap_or_default();
    after.split_once('>').map_or("", |(_, rest)| rest)
}
