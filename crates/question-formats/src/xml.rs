//! XML documents, one item after another, so that a large document costs no more memory than its largest item.
//!
//! A document type is skipped: nothing outside of the document is fetched, and entities that it declares are not
//! expanded (an item that uses one is a fault).

mod builder;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader};

use crate::problem::Problem;
use crate::source;
use builder::Builder;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Without a namespace prefix, as [`Shape::rename`] gives it.
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn children_named(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.elements().filter(move |element| element.name == name)
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// All elements inside for which `wanted` holds, in document order.
    pub(crate) fn descendants<'a>(&'a self, wanted: &dyn Fn(&Element) -> bool) -> Vec<&'a Element> {
        let mut found = Vec::new();
        self.find_into(wanted, &mut found);
        found
    }

    fn find_into<'a>(&'a self, wanted: &dyn Fn(&Element) -> bool, found: &mut Vec<&'a Element>) {
        for element in self.elements() {
            if wanted(element) {
                found.push(element);
            }
            element.find_into(wanted, found);
        }
    }

    pub(crate) fn descendants_named(&self, name: &str) -> Vec<&Element> {
        self.descendants(&|element| element.name == name)
    }

    /// All text inside, as it stands.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.text_into(&mut out);
        out
    }

    fn text_into(&self, out: &mut String) {
        for node in &self.children {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Element(element) => element.text_into(out),
            }
        }
    }
}

/// What to read of a document.
pub(crate) struct Shape {
    /// Names of items as they stand in the source.
    pub(crate) items: &'static [&'static str],
    /// Elements that are left out with all that is in them.
    pub(crate) skip: &'static [&'static str],
    pub(crate) rename: fn(&str) -> String,
}

/// Calls `found` with each item and its line until it returns false. Gives the name of the root element.
pub(crate) fn each_item(
    text: &str,
    shape: &Shape,
    found: &mut dyn FnMut(u32, Result<Element, Problem>) -> bool,
) -> Option<String> {
    let mut root = None;
    let mut lines = Lines::default();
    let mut start = 0;
    while let Some(rest) = text.get(start..) {
        let mut reader = Reader::from_str(rest);
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        config.trim_markup_names_in_closing_tags = true;
        // After a restart the ends of what was open before are still to come.
        config.allow_unmatched_ends = start > 0;
        let mut item: Option<Builder<'_>> = None;
        let broken = loop {
            let before = start + position(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => break (start + position(reader.error_position()), error),
            };
            match event {
                Event::Start(tag) if item.is_none() => {
                    let name = local(&tag);
                    root.get_or_insert_with(|| (shape.rename)(&name));
                    if shape.items.contains(&name.as_str()) {
                        item = Some(Builder::new(lines.at(text, before), &tag, shape));
                    }
                }
                Event::Empty(tag) if item.is_none() => {
                    let name = local(&tag);
                    root.get_or_insert_with(|| (shape.rename)(&name));
                    if shape.items.contains(&name.as_str()) {
                        let builder = Builder::new(lines.at(text, before), &tag, shape);
                        if !found(builder.line, builder.finish()) {
                            return root;
                        }
                    }
                }
                Event::Eof => {
                    if let Some(builder) = item.take() {
                        found(
                            builder.line,
                            Err(Problem::syntax("the document ends within the item")),
                        );
                    }
                    return root;
                }
                event => {
                    let Some(builder) = &mut item else { continue };
                    if builder.take(event)
                        && let Some(builder) = item.take()
                        && !found(builder.line, builder.finish())
                    {
                        return root;
                    }
                }
            }
        };
        let (at, error) = broken;
        let at = at.max(start);
        let line = lines.at(text, at);
        let message = format!("broken XML in line {line}: {error}");
        let item_line = item.as_ref().map_or(line, |builder| builder.line);
        if !found(item_line, Err(Problem::syntax(message))) {
            return root;
        }
        // Something is open until the end of the document: looking for its end again and again would take too long.
        if matches!(error, Error::Syntax(_)) {
            return root;
        }
        let Some(next) = next_item(text, at + 1, shape.items) else {
            return root;
        };
        start = next;
    }
    root
}

fn position(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// Where the next item starts, going by the text alone.
fn next_item(text: &str, from: usize, items: &[&str]) -> Option<usize> {
    let mut from = from;
    while from < text.len() && !text.is_char_boundary(from) {
        from += 1;
    }
    let starts_item = |rest: &str| {
        items.iter().any(|name| {
            rest.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\n', '>']))
        })
    };
    let rest = text.get(from..)?;
    let found = rest
        .match_indices('<')
        .find(|(at, _)| rest.get(at + 1..).is_some_and(starts_item));
    found.map(|(at, _)| from + at)
}

/// Counts lines once, forwards.
#[derive(Default)]
struct Lines {
    counted: usize,
    newlines: u32,
}

impl Lines {
    fn at(&mut self, text: &str, position: usize) -> u32 {
        if let Some(part) = text.as_bytes().get(self.counted..position) {
            self.newlines = self.newlines.saturating_add(source::newlines(part));
            self.counted = position;
        }
        self.newlines.saturating_add(1)
    }
}

fn local(tag: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(tag.local_name().into_inner()).into_owned()
}

#[cfg(test)]
mod tests;
