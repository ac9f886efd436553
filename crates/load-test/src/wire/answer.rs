//! Where an answer ends.

use std::io::{Error, ErrorKind, Result};

use memchr::memmem;

/// More is no head of ours.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Head and body.
    pub bytes: usize,
    /// Whether another request may follow on this connection.
    pub is_kept: bool,
    /// From `Retry-After`.
    pub retry_after_seconds: Option<u64>,
}

/// Reads one answer after the other, from pieces of any size.
#[derive(Default)]
pub struct Reader {
    /// A head that has not come as a whole.
    head: Vec<u8>,
    part: Part,
    answer: Option<Answer>,
}

#[derive(Default, Clone, Copy)]
enum Part {
    #[default]
    Head,
    /// That many bytes of the body, or of a chunk, are still to come.
    Body(usize),
    ChunkSize(usize),
    ChunkData(usize),
    /// The line end behind a chunk; then the next size.
    ChunkEnd,
    /// Lines after the last chunk. Bytes of the current line so far.
    Trailer(usize),
}

impl Reader {
    /// Takes what has come; the answer when that was its end.
    pub fn take(&mut self, mut piece: &[u8], mut body: Option<&mut Vec<u8>>) -> Result<Option<Answer>> {
        if let Part::Head = self.part {
            piece = match self.take_head(piece)? {
                Some(rest) => rest,
                None => return Ok(None),
            };
        }
        if let Some(answer) = &mut self.answer {
            answer.bytes += piece.len();
        }
        let is_over = self.take_body(&mut piece, &mut body)?;
        if !is_over {
            return Ok(None);
        }
        if !piece.is_empty() {
            return Err(invalid("bytes after the answer"));
        }
        self.part = Part::Head;
        Ok(self.answer.take())
    }

    /// What of the piece comes behind the head, once that is whole.
    fn take_head<'a>(&mut self, piece: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let known = self.head.len();
        let (head, rest) = if known == 0 {
            let Some(end) = memmem::find(piece, b"\r\n\r\n") else {
                self.head.extend_from_slice(piece);
                return Ok(None);
            };
            piece.split_at(end + 4)
        } else {
            self.head.extend_from_slice(piece);
            let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else {
                if self.head.len() > MAX_HEAD_BYTES {
                    return Err(invalid("a head without end"));
                }
                return Ok(None);
            };
            (&self.head[..end + 4], &piece[end + 4 - known..])
        };
        let (answer, part) = read_head(head)?;
        (self.answer, self.part) = (Some(answer), part);
        self.head.clear();
        Ok(Some(rest))
    }

    /// True at the end of the body.
    fn take_body(&mut self, piece: &mut &[u8], body: &mut Option<&mut Vec<u8>>) -> Result<bool> {
        loop {
            match self.part {
                Part::Head => return Ok(true),
                Part::Body(left) => {
                    let left = left - take(piece, left, body);
                    self.part = Part::Body(left);
                    return Ok(left == 0);
                }
                Part::ChunkSize(size) => {
                    let Some(byte) = next(piece) else { return Ok(false) };
                    self.part = match byte {
                        b'\n' if size == 0 => Part::Trailer(0),
                        b'\n' => Part::ChunkData(size),
                        b'\r' => Part::ChunkSize(size),
                        _ => {
                            let digit = char::from(byte)
                                .to_digit(16)
                                .ok_or_else(|| invalid("chunk size"))?;
                            Part::ChunkSize((size << 4) + digit as usize)
                        }
                    };
                }
                Part::ChunkData(left) => {
                    let left = left - take(piece, left, body);
                    if left > 0 {
                        self.part = Part::ChunkData(left);
                        return Ok(false);
                    }
                    self.part = Part::ChunkEnd;
                }
                Part::ChunkEnd => match next(piece) {
                    None => return Ok(false),
                    Some(b'\n') => self.part = Part::ChunkSize(0),
                    Some(_) => {}
                },
                Part::Trailer(line) => match next(piece) {
                    None => return Ok(false),
                    Some(b'\n') if line == 0 => return Ok(true),
                    Some(b'\n') => self.part = Part::Trailer(0),
                    Some(b'\r') => {}
                    Some(_) => self.part = Part::Trailer(line + 1),
                },
            }
        }
    }
}

fn next(piece: &mut &[u8]) -> Option<u8> {
    let (first, rest) = piece.split_first()?;
    *piece = rest;
    Some(*first)
}

/// Takes at most so many bytes; how many there were.
fn take(piece: &mut &[u8], most: usize, body: &mut Option<&mut Vec<u8>>) -> usize {
    let (taken, rest) = piece.split_at(most.min(piece.len()));
    *piece = rest;
    if let Some(body) = body {
        body.extend_from_slice(taken);
    }
    taken.len()
}

fn read_head(head: &[u8]) -> Result<(Answer, Part)> {
    let status = head
        .get(9..12)
        .filter(|_| head.starts_with(b"HTTP/1.1 "))
        .and_then(number)
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| invalid("no status"))?;
    let mut answer = Answer {
        status,
        bytes: head.len(),
        is_kept: true,
        retry_after_seconds: None,
    };
    let mut part = None;
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', head) {
        let line = head.get(from..end).unwrap_or_default();
        from = end + 1;
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(length) = value(line, b"content-length") {
                    part = Some(Part::Body(number(length).ok_or_else(|| invalid("length"))?));
                } else if let Some(what) = value(line, b"connection") {
                    answer.is_kept = !what.eq_ignore_ascii_case(b"close");
                }
            }
            Some(b't' | b'T') if value(line, b"transfer-encoding").is_some() => {
                part = Some(Part::ChunkSize(0));
            }
            Some(b'r' | b'R') => {
                if let Some(seconds) = value(line, b"retry-after") {
                    answer.retry_after_seconds = number(seconds).map(|seconds| seconds as u64);
                }
            }
            _ => {}
        }
    }
    let part = match (status, part) {
        (204 | 304, _) => Part::Body(0),
        (_, Some(part)) => part,
        (_, None) => return Err(invalid("neither length nor chunks")),
    };
    Ok((answer, part))
}

/// The value of a header line with this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn invalid(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the pieces are, the answers are the same.
    #[test]
    fn answers_end_where_they_end_in_pieces_of_any_size() {
        let cases: [(&[u8], u16, &[u8], bool); 5] = [
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\nhello", 200, b"hello", true),
            (b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, b"", true),
            (b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", 204, b"", false),
            (b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", 304, b"", true),
            (
                b"HTTP/1.1 503 x\r\ntransfer-encoding: chunked\r\nretry-after: 1\r\n\r\n3\r\nabc\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nt: v\r\n\r\n",
                503,
                b"abcabcdefghijklmnopqrstuvwxyz",
                true,
            ),
        ];
        for (bytes, status, expected, is_kept) in cases {
            for size in 1..=bytes.len() {
                let (mut reader, mut body, mut found) = (Reader::default(), Vec::new(), Vec::new());
                for piece in bytes.chunks(size).chain(bytes.chunks(size)) {
                    found.extend(reader.take(piece, Some(&mut body)).unwrap());
                }
                let answer = Answer {
                    status,
                    bytes: bytes.len(),
                    is_kept,
                    retry_after_seconds: (status == 503).then_some(1),
                };
                assert_eq!(found, [answer, answer], "{size}");
                assert_eq!(body, [expected, expected].concat(), "{size}");
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bytes in [
            &b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert!(Reader::default().take(bytes, None).is_err());
        }
    }
}
