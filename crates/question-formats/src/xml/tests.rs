use super::builder::MAX_ELEMENTS;
use super::*;

const SHAPE: Shape = Shape {
    items: &["item"],
    skip: &["file"],
    rename: str::to_owned,
};

fn read(text: &str) -> Vec<(u32, Result<Element, Problem>)> {
    let mut found = Vec::new();
    each_item(text, &SHAPE, &mut |line, item| {
        found.push((line, item));
        true
    });
    found
}

#[test]
fn items_have_lines_and_texts() {
    let found = read(
        "<a>\n<x:item k='1 &amp; 2'>a &#x11f; <![CDATA[<b>]]></x:item>\n<item/><item><file>AAAA</file></item></a>",
    );
    let (line, first) = &found[0];
    let first = first.as_ref().unwrap();
    assert_eq!(*line, 2);
    assert_eq!(first.text(), "a ğ <b>");
    assert_eq!(first.attribute("k"), Some("1 & 2"));
    assert_eq!(found[1].0, 3);
    assert_eq!(found[2].1.as_ref().unwrap().children, []);
}

#[test]
fn the_next_item_is_read_after_a_broken_one() {
    let found = read("<a>\n<item><b></item>\n<item>two</item></a>");
    assert_eq!(found[0].1.as_ref().unwrap_err().code, "syntax");
    assert_eq!(found[1].0, 3);
    assert_eq!(found[1].1.as_ref().unwrap().text(), "two");
}

#[test]
fn entities_of_a_document_type_are_not_expanded() {
    let bomb = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'><!ENTITY y '&z;&z;&z;'>]><a><item>&x;</item><item>&y;</item></a>";
    let found = read(bomb);
    assert_eq!(found.len(), 2);
    for (_, item) in found {
        assert_eq!(item.unwrap_err().code, "syntax");
    }
}

#[test]
fn deep_and_large_items_are_refused() {
    let deep = format!(
        "<item>{}{}</item><item/>",
        "<b>".repeat(5000),
        "</b>".repeat(5000)
    );
    let found = read(&deep);
    assert_eq!(found[0].1.as_ref().unwrap_err().code, "too_large");
    assert!(found[1].1.is_ok());
    let large = format!("<item>{}</item><item/>", "<b/>".repeat(MAX_ELEMENTS + 1));
    assert_eq!(read(&large)[0].1.as_ref().unwrap_err().code, "too_large");
}

#[test]
fn an_unfinished_document_is_a_fault() {
    for text in [
        "<item>",
        "<item",
        "<item><!-- ",
        "<item a=>",
        "<item></item",
        "<item>&",
    ] {
        assert!(
            read(text).iter().any(|(_, item)| item.is_err()) || text == "<item",
            "{text}"
        );
    }
}
