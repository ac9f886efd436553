//! XHTML within XML documents.

use super::Writer;
use crate::xml::{Element, Node};

/// True when it has written the element, or leaves it out.
pub(crate) type Hook = fn(&Element, &mut Writer) -> bool;

pub(crate) fn write_children(element: &Element, writer: &mut Writer, hook: Hook) {
    for node in &element.children {
        let child = match node {
            Node::Text(text) => {
                writer.text(text);
                continue;
            }
            Node::Element(child) => child,
        };
        if hook(child, writer) {
            continue;
        }
        let tag = child.name.to_ascii_lowercase();
        let attribute = |name: &str| child.attribute(name).map(str::to_owned);
        if child.children.is_empty() {
            writer.empty(&tag, &attribute);
        } else {
            writer.start(&tag, &attribute);
            write_children(child, writer, hook);
            writer.end(&tag);
        }
    }
}
