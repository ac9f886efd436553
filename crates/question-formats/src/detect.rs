//! The format of a source where nobody says it.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::Format;
use crate::qti::package::is_package;

/// Elements that a QTI file begins with, of any version.
const QTI_ROOTS: &[&str] = &[
    "questestinterop",
    "assessmentItem",
    "assessmentTest",
    "qti-assessment-item",
    "qti-assessment-test",
    "manifest",
];

/// What the bytes look like; GIFT where nothing speaks for another.
pub fn detect(bytes: &[u8]) -> Format {
    if is_package(bytes) {
        return Format::Qti;
    }
    let start = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if start.starts_with(b"<") {
        match root(start).as_deref() {
            Some("quiz") => return Format::MoodleXml,
            Some(name) if QTI_ROOTS.contains(&name) => return Format::Qti,
            // Its reader says what is wrong with it.
            _ if start.starts_with(b"<?xml") => return Format::Qti,
            // GIFT may begin with a tag of its HTML.
            _ => {}
        }
    }
    let mut lines = bytes.split(|byte| *byte == b'\n');
    if lines.any(|line| line.trim_ascii_start().starts_with(b"ANSWER:")) {
        Format::Aiken
    } else {
        Format::Gift
    }
}

/// The name of the root element, without its prefix.
fn root(xml: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => {
                return String::from_utf8(element.local_name().as_ref().to_vec()).ok();
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_source_is_taken_for_what_it_looks_like() {
        for (source, format) in [
            ("PK\x03\x04", Format::Qti),
            (
                "<?xml version=\"1.0\"?>\n<!-- <quiz> -->\n<quiz></quiz>",
                Format::MoodleXml,
            ),
            ("\u{feff}  <quiz/>", Format::MoodleXml),
            ("<!DOCTYPE questestinterop>\n<questestinterop/>", Format::Qti),
            ("<imsqti:assessmentItem xmlns:imsqti=\"x\"/>", Format::Qti),
            ("<?xml version=\"1.0\"?><qti-assessment-item>", Format::Qti),
            ("<?xml version=\"1.0\"?><unknown/>", Format::Qti),
            ("<?xml version=\"1.0\"", Format::Qti),
            ("What?\nA) a\nB) b\r\nANSWER: B\r\n", Format::Aiken),
            ("<p>2 + 2 =</p> {=4 ~5}", Format::Gift),
            ("The ANSWER: is {T}", Format::Gift),
            ("", Format::Gift),
        ] {
            assert_eq!(detect(source.as_bytes()), format, "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_format(bytes: Vec<u8>, xml in "<[?!a-z<>\"= -]{0,40}") {
            detect(&bytes);
            detect(xml.as_bytes());
        }
    }
}
