//! Rows of a CSV text by their columns.

use std::borrow::Cow;
use std::io::Cursor;

use csv::{Reader, ReaderBuilder, StringRecord};

use crate::column::Column;
use crate::fault::RowFault;
use crate::text;

/// A row of more bytes is a fault; the largest honest one is a hundredth of it.
const MAX_ROW_BYTES: usize = 64 << 10;
/// No address is longer.
const MAX_EMAIL_BYTES: usize = 254;

pub(crate) struct Table<'a> {
    reader: Reader<Cursor<Cow<'a, [u8]>>>,
    columns: Vec<Option<Column>>,
    ignored: Vec<String>,
    record: StringRecord,
    /// Up to which byte the lines are counted, and the line there: that of the record.
    counted: usize,
    line: u64,
    header_line: u64,
}

/// A row of a table.
pub(crate) struct Row<'a> {
    columns: &'a [Option<Column>],
    record: &'a StringRecord,
    pub(crate) line: u64,
}

impl<'a> Table<'a> {
    /// Reads the header.
    pub(crate) fn new(bytes: Cow<'a, [u8]>) -> Result<Self, RowFault> {
        let mut text = match bytes {
            Cow::Borrowed(bytes) => text::decode(bytes),
            Cow::Owned(bytes) => Cow::Owned(text::decode(&bytes).into_owned()),
        };
        let mut line = 1;
        let mut delimiter = None;
        // Excel's way to say it.
        if let Some((first, rest)) = text.split_once('\n')
            && let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', told] = first.trim_end().as_bytes()
        {
            (line, delimiter) = (2, Some(*told));
            let start = text.len() - rest.len();
            match &mut text {
                Cow::Borrowed(text) => *text = text.get(start..).unwrap_or_default(),
                Cow::Owned(text) => drop(text.drain(..start)),
            }
        }
        let delimiter = delimiter.unwrap_or_else(|| sniff(&text));
        let bytes = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Cursor::new(bytes));
        let mut table = Self {
            reader,
            columns: Vec::new(),
            ignored: Vec::new(),
            record: StringRecord::new(),
            counted: 0,
            line,
            header_line: line,
        };
        table.read_header()?;
        Ok(table)
    }

    fn read_header(&mut self) -> Result<(), RowFault> {
        let is_there = self.next_record()?;
        self.header_line = self.line;
        if !is_there {
            return Err(self.header_fault("", "empty", "there is no line with headings"));
        }
        for heading in &self.record {
            let column = Column::of(heading);
            if let Some(column) = column
                && self.columns.contains(&Some(column))
            {
                let detail = format!("{heading:?} is a second column of this");
                return Err(self.header_fault(column.name(), "column_repeated", detail));
            }
            if column.is_none() && !heading.trim().is_empty() {
                self.ignored.push(heading.trim().to_owned());
            }
            self.columns.push(column);
        }
        Ok(())
    }

    /// Headings that say nothing to us.
    pub(crate) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> + '_ {
        self.columns.iter().flatten().copied()
    }

    pub(crate) fn has(&self, column: Column) -> bool {
        self.columns.contains(&Some(column))
    }

    pub(crate) fn header_fault(
        &self,
        column: &'static str,
        code: &'static str,
        detail: impl Into<String>,
    ) -> RowFault {
        RowFault::new(self.header_line, column, code, detail)
    }

    /// The next row that is not empty.
    pub(crate) fn next_row(&mut self) -> Option<Result<Row<'_>, RowFault>> {
        match self.next_record() {
            Ok(false) => None,
            Ok(true) => Some(self.row()),
            Err(fault) => Some(Err(fault)),
        }
    }

    fn row(&self) -> Result<Row<'_>, RowFault> {
        let row = Row {
            columns: &self.columns,
            record: &self.record,
            line: self.line,
        };
        let mut beyond = self.record.iter().skip(self.columns.len());
        if beyond.any(|value| !value.trim().is_empty()) {
            let detail = format!(
                "{} values under {} headings; a value with the delimiter in it needs quotes",
                self.record.len(),
                self.columns.len()
            );
            return Err(row.named(RowFault::new(self.line, "", "too_many_values", detail)));
        }
        Ok(row)
    }

    /// Whether there is one more that is not empty.
    fn next_record(&mut self) -> Result<bool, RowFault> {
        loop {
            let before = self.reader.position().byte();
            // Memory is read without faults, and the text is UTF-8: there is no other end.
            if !self.reader.read_record(&mut self.record).unwrap_or(false) {
                return Ok(false);
            }
            self.count_lines(before as usize);
            if self.reader.position().byte() - before > MAX_ROW_BYTES as u64 {
                let detail = format!("longer than {MAX_ROW_BYTES} bytes; a quote may be open");
                return Err(RowFault::new(self.line, "", "row_too_long", detail));
            }
            if self.record.iter().any(|value| !value.trim().is_empty()) {
                return Ok(true);
            }
        }
    }

    /// Counts up to the record that begins here, after the ends of lines that the reader skips.
    fn count_lines(&mut self, from: usize) {
        let text: &[u8] = self.reader.get_ref().get_ref();
        let rest = text.get(from..).unwrap_or_default();
        let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let start = from + skipped.count();
        let passed = text.get(self.counted..start).unwrap_or_default();
        let ends = passed.iter().enumerate().filter(|(at, byte)| {
            **byte == b'\n' || (**byte == b'\r' && passed.get(at + 1).is_none_or(|next| *next != b'\n'))
        });
        self.line += ends.count() as u64;
        self.counted = start;
    }
}

impl<'a> Row<'a> {
    /// The trimmed value; nothing when it is empty or there is no such column.
    pub(crate) fn get(&self, column: Column) -> Option<&'a str> {
        let at = self.columns.iter().position(|c| *c == Some(column))?;
        self.record
            .get(at)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// A value that is kept: no control characters, one space where there are many.
    pub(crate) fn text(&self, column: Column) -> Result<Option<String>, RowFault> {
        let Some(value) = self.get(column) else {
            return Ok(None);
        };
        let words: Vec<&str> = value.split_whitespace().collect();
        let value = words.join(" ");
        if value.chars().any(char::is_control) {
            return Err(self.fault(
                column,
                "control_character",
                "there is a character that nobody sees",
            ));
        }
        Ok(Some(value))
    }

    pub(crate) fn fault(&self, column: Column, code: &'static str, detail: impl Into<String>) -> RowFault {
        RowFault::new(self.line, column.name(), code, detail)
    }

    /// The fault with the row's address, where it has none yet and something stands there that may be one.
    pub(crate) fn named(&self, fault: RowFault) -> RowFault {
        if !fault.email.is_empty() {
            return fault;
        }
        let is_told = |email: &&str| {
            email.contains('@') && email.len() <= MAX_EMAIL_BYTES && !email.chars().any(char::is_control)
        };
        let email = self.address().filter(is_told).unwrap_or_default().to_owned();
        RowFault { email, ..fault }
    }

    /// What stands for the address, also where it is the user's name.
    fn address(&self) -> Option<&'a str> {
        let name = || self.get(Column::Username).filter(|name| name.contains('@'));
        self.get(Column::Email).or_else(name)
    }

    pub(crate) fn email(&self) -> Result<String, RowFault> {
        let Some(email) = self.address() else {
            return Err(self.fault(Column::Email, "email_missing", "there is no address"));
        };
        let is_sound = email.len() <= MAX_EMAIL_BYTES
            && !email.chars().any(|c| c.is_whitespace() || c.is_control())
            && email
                .rsplit_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        if is_sound {
            Ok(email.to_owned())
        } else {
            Err(self.fault(Column::Email, "email_invalid", "this is no address"))
        }
    }
}

/// What parts the headings, outside of quotes.
fn sniff(text: &str) -> u8 {
    let (mut commas, mut semicolons, mut tabs) = (0, 0, 0);
    let mut quoted = false;
    for byte in text.trim_start().bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            b',' if !quoted => commas += 1,
            b';' if !quoted => semicolons += 1,
            b'\t' if !quoted => tabs += 1,
            _ => {}
        }
    }
    match commas.max(semicolons).max(tabs) {
        most if most == commas => b',',
        most if most == semicolons => b';',
        _ => b'\t',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, String)> {
        let mut table = Table::new(Cow::Borrowed(text.as_bytes())).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = table.next_row() {
            rows.push(match row {
                Ok(row) => (row.line, row.get(Column::FullName).unwrap_or("-").to_owned()),
                Err(fault) => (fault.line, fault.code.to_owned()),
            });
        }
        rows
    }

    #[test]
    fn lines_are_those_that_an_editor_shows() {
        let expected = [(3, "Ada"), (5, "Ece\nYılmaz"), (8, "Can"), (9, "too_many_values")]
            .map(|(line, name)| (line, name.to_owned()));
        let text = "email,ad soyad\n\na@x,Ada\n\nb@x,\"Ece\nYılmaz\"\n,\nc@x,Can\nd@x,Soy,Ad\n";
        assert_eq!(rows(text), expected);
        assert_eq!(
            rows(
                &text
                    .replace("Ece\n", "Ece\u{1}\n")
                    .replace('\n', "\r\n")
                    .replace("\u{1}\r", "")
            ),
            expected
        );
        assert_eq!(rows(&text.replace(',', ";")), expected);
        assert_eq!(rows(&text.replace(',', "\t")), expected);
        let told: Vec<(u64, String)> = rows(&format!("sep=;\r\n{}", text.replace(',', ";")));
        assert!(
            told.iter().zip(&expected).all(|(told, row)| told.0 == row.0 + 1),
            "{told:?}"
        );
        // As Macs of old ended lines.
        let old = text.replace("Ece\n", "Ece ").replace('\n', "\r");
        let lines: Vec<u64> = rows(&old).iter().map(|row| row.0).collect();
        assert_eq!(lines, [3, 5, 7, 8]);
    }

    #[test]
    fn a_quote_left_open_is_one_fault() {
        let long = format!(
            "email,ad soyad\na@x,Ada\nb@x,\"Ece\n{}",
            "c@x,Can\n".repeat(10_000)
        );
        assert_eq!(
            rows(&long),
            [(2, "Ada".to_owned()), (3, "row_too_long".to_owned())]
        );
    }
}
