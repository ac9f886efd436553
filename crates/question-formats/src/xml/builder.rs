//! One item of a document as a tree, within bounds.

use quick_xml::events::{BytesStart, Event};

use super::{Element, Node, Shape, local};
use crate::entity;
use crate::problem::Problem;

const MAX_DEPTH: usize = 100;
const MAX_ATTRIBUTES: usize = 100;
pub(super) const MAX_ELEMENTS: usize = 50_000;

pub(super) struct Builder<'s> {
    pub(super) line: u32,
    shape: &'s Shape,
    /// Open elements, the item itself first.
    open: Vec<Element>,
    /// How deep in an element that is left out.
    skipped: usize,
    elements: usize,
    problem: Option<Problem>,
    done: Element,
}

impl<'s> Builder<'s> {
    pub(super) fn new(line: u32, tag: &BytesStart<'_>, shape: &'s Shape) -> Self {
        let mut builder = Self {
            line,
            shape,
            open: Vec::new(),
            skipped: 0,
            elements: 0,
            problem: None,
            done: Element::default(),
        };
        let element = builder.element(tag);
        builder.done = element.clone();
        builder.open.push(element);
        builder
    }

    pub(super) fn finish(self) -> Result<Element, Problem> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.done),
        }
    }

    /// True at the end of the item.
    pub(super) fn take(&mut self, event: Event<'_>) -> bool {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::Empty(tag) => self.empty(&tag),
            Event::End(_) => return self.end(),
            Event::Text(text) => self.text(&String::from_utf8_lossy(&text)),
            Event::CData(text) => self.text(&String::from_utf8_lossy(&text)),
            Event::GeneralRef(name) if self.skipped == 0 => {
                let name = String::from_utf8_lossy(&name).into_owned();
                match entity::resolve(&name) {
                    Some(character) => self.text(character.encode_utf8(&mut [0; 4])),
                    None => self.fail(Problem::syntax(format!("the entity `{name}` is not known"))),
                }
            }
            _ => {}
        }
        false
    }

    fn start(&mut self, tag: &BytesStart<'_>) {
        if self.skipped > 0 || self.problem.is_some() || self.shape.skip.contains(&local(tag).as_str()) {
            self.skipped += 1;
            return;
        }
        if self.open.len() >= MAX_DEPTH {
            self.fail(Problem::too_large(format!(
                "more than {MAX_DEPTH} levels of elements"
            )));
        }
        if self.counts() {
            let element = self.element(tag);
            self.open.push(element);
        } else {
            self.skipped += 1;
        }
    }

    fn empty(&mut self, tag: &BytesStart<'_>) {
        if self.skipped == 0 && self.counts() && !self.shape.skip.contains(&local(tag).as_str()) {
            let element = self.element(tag);
            self.add(Node::Element(element));
        }
    }

    fn end(&mut self) -> bool {
        if self.skipped > 0 {
            self.skipped -= 1;
            return false;
        }
        let Some(element) = self.open.pop() else {
            return true;
        };
        if self.open.is_empty() {
            self.done = element;
            return true;
        }
        self.add(Node::Element(element));
        false
    }

    fn counts(&mut self) -> bool {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            self.fail(Problem::too_large(format!("more than {MAX_ELEMENTS} elements")));
        }
        self.problem.is_none()
    }

    fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    fn text(&mut self, text: &str) {
        if self.skipped > 0 || self.problem.is_some() || text.is_empty() {
            return;
        }
        // An entity splits a text into several events.
        if let Some(Element { children, .. }) = self.open.last_mut()
            && let Some(Node::Text(last)) = children.last_mut()
        {
            last.push_str(text);
            return;
        }
        self.add(Node::Text(text.to_owned()));
    }

    fn add(&mut self, node: Node) {
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(node);
        }
    }

    fn element(&mut self, tag: &BytesStart<'_>) -> Element {
        let mut element = Element {
            name: (self.shape.rename)(&local(tag)),
            ..Element::default()
        };
        for attribute in tag.attributes().with_checks(false) {
            let Ok(attribute) = attribute else {
                self.fail(Problem::syntax(format!(
                    "an attribute of `{}` is broken",
                    element.name
                )));
                break;
            };
            if element.attributes.len() == MAX_ATTRIBUTES {
                self.fail(Problem::too_large(format!(
                    "more than {MAX_ATTRIBUTES} attributes"
                )));
                break;
            }
            let name = String::from_utf8_lossy(attribute.key.local_name().into_inner()).into_owned();
            let value = entity::unescape(&String::from_utf8_lossy(&attribute.value));
            element.attributes.push(((self.shape.rename)(&name), value));
        }
        element
    }
}
