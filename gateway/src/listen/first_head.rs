//! Where the first head of what a client sent ends. hyper finds it too, and does not tell.

use memchr::memchr;

/// Looks for the end of the first head: an empty line, with or without carriage returns, as hyper's parser takes it.
#[derive(Debug, Default, Clone, Copy)]
pub struct FirstHead {
    seen: u64,
    line: Line,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Before the first one, where the parser skips empty ones.
    #[default]
    Before,
    /// In a line.
    Text,
    /// At the start of one.
    Start,
    /// After a carriage return at the start of one.
    Return,
    /// The empty one has ended.
    End,
}

impl FirstHead {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let (Some(first), true) = (bytes.first(), self.line != Line::End) {
            let (taken, line) = match (self.line, first) {
                (Line::Text, _) => match memchr(b'\n', bytes) {
                    Some(at) => (at + 1, Line::Start),
                    None => (bytes.len(), Line::Text),
                },
                (Line::Before, b'\r' | b'\n') => (1, Line::Before),
                (Line::Start | Line::Return, b'\n') => (1, Line::End),
                (Line::Start, b'\r') => (1, Line::Return),
                _ => (0, Line::Text),
            };
            self.seen += taken as u64;
            self.line = line;
            bytes = &bytes[taken..];
        }
    }

    /// How long it is.
    pub fn end(self) -> Option<u64> {
        (self.line == Line::End).then_some(self.seen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end_of(parts: &[&[u8]]) -> Option<u64> {
        let mut head = FirstHead::default();
        parts.iter().for_each(|part| head.feed(part));
        head.end()
    }

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        let plain = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(end_of(&[plain]), Some(plain.len() as u64));
        assert_eq!(end_of(&[b"GET / HTTP/1.1\n\nrest\r\n\r\n"]), Some(16));
        assert_eq!(end_of(&[b"GET / HTTP/1.1\n\r\nrest"]), Some(17));
        assert_eq!(end_of(&[b"GET / HTTP/1.1\r\n\r"]), None);
        assert_eq!(end_of(&[b"GET / HTTP/1.1\r\n\rx\r\n"]), None);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[a\r\n]{0,40}", at in 0_usize..40) {
            let bytes = text.as_bytes();
            let (one, two) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(end_of(&[bytes]), end_of(&[one, two]));
        }

        #[test]
        fn the_end_is_where_the_parser_finds_it(before in "[\r\n]{0,3}", lines in proptest::collection::vec("[a-z]{1,5}: [a-z]{0,5}", 0..5),
                                                 ends in proptest::collection::vec(any::<bool>(), 7)) {
            // A carriage return alone is no line.
            let mut text = before.replace('\r', "\r\n") + "GET / HTTP/1.1";
            for (line, bare) in lines.iter().chain([&String::new()]).zip(&ends) {
                text.push_str(if *bare { "\n" } else { "\r\n" });
                text.push_str(line);
            }
            text.push_str(if ends[6] { "\n" } else { "\r\n" });
            let length = text.len() as u64;
            text.push_str("body\r\n\r\n");
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let parsed = httparse::Request::new(&mut headers).parse(text.as_bytes()).unwrap();
            prop_assert_eq!(parsed, httparse::Status::Complete(length as usize));
            prop_assert_eq!(end_of(&[text.as_bytes()]), Some(length));
        }
    }
}
