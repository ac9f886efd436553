//! Tables as files that spreadsheets open, without letting a cell become a formula.

use std::fmt::Write as _;
use std::str::FromStr;

use rust_xlsxwriter::{Workbook, Worksheet, XlsxError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// UTF-8, commas, decimal points.
    Csv,
    /// As a Turkish Excel opens it with a double click: semicolons, decimal commas, a byte order mark.
    CsvTurkish,
    Xlsx,
}

/// A name that is no format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no format of a table")]
pub struct UnknownFormat;

/// Why a table cannot be written: it is larger than a workbook may be.
#[derive(Debug, thiserror::Error)]
#[error("the workbook cannot be written")]
pub struct SheetError(#[from] XlsxError);

impl Format {
    pub const ALL: [Self; 3] = [Self::Csv, Self::CsvTurkish, Self::Xlsx];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::CsvTurkish => "csv_tr",
            Self::Xlsx => "xlsx",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvTurkish => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// Of a file's name, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvTurkish => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    Number(f64),
    Text(String),
}

/// A table that grows row by row.
pub struct Sheet {
    content: Content,
}

enum Content {
    /// The text that nobody has taken yet.
    Csv {
        text: String,
        separator: char,
        decimal: char,
    },
    /// Held whole: a workbook is one compressed file with an index at its end.
    Xlsx { sheet: Box<Worksheet>, line: u32 },
}

impl Sheet {
    pub fn new(format: Format) -> Self {
        let csv = |mark: &str, separator, decimal| Content::Csv {
            text: mark.to_owned(),
            separator,
            decimal,
        };
        let content = match format {
            Format::Csv => csv("", ',', '.'),
            Format::CsvTurkish => csv("\u{feff}", ';', ','),
            Format::Xlsx => Content::Xlsx {
                sheet: Box::new(Worksheet::new()),
                line: 0,
            },
        };
        Self { content }
    }

    pub fn push(&mut self, row: &[Cell]) -> Result<(), SheetError> {
        match &mut self.content {
            Content::Csv {
                text,
                separator,
                decimal,
            } => csv_row(text, row, *separator, *decimal),
            Content::Xlsx { sheet, line } => {
                xlsx_row(sheet, *line, row)?;
                *line += 1;
            }
        }
        Ok(())
    }

    /// What can be written already: text of CSV. A workbook comes with [`Sheet::finish`].
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.content {
            Content::Csv { text, .. } => std::mem::take(text).into_bytes(),
            Content::Xlsx { .. } => Vec::new(),
        }
    }

    /// What was not taken.
    pub fn finish(self) -> Result<Vec<u8>, SheetError> {
        match self.content {
            Content::Csv { text, .. } => Ok(text.into_bytes()),
            Content::Xlsx { sheet, .. } => {
                let mut book = Workbook::new();
                book.push_worksheet(*sheet);
                Ok(book.save_to_buffer()?)
            }
        }
    }
}

/// A whole table at once.
pub fn write(format: Format, rows: &[Vec<Cell>]) -> Result<Vec<u8>, SheetError> {
    let mut sheet = Sheet::new(format);
    for row in rows {
        sheet.push(row)?;
    }
    sheet.finish()
}

/// A text that begins like a formula gets an apostrophe before it (OWASP, CSV injection).
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// RFC 4180.
fn csv_row(out: &mut String, row: &[Cell], separator: char, decimal: char) {
    for (place, cell) in row.iter().enumerate() {
        if place > 0 {
            out.push(separator);
        }
        let text = match cell {
            Cell::Empty => continue,
            Cell::Number(number) => number.to_string().replace('.', &decimal.to_string()),
            Cell::Text(text) => harmless(text),
        };
        if text.contains([separator, '"', '\n', '\r', '\'']) {
            // Writing to a text cannot fail.
            let _ = write!(out, "\"{}\"", text.replace('"', "\"\""));
        } else {
            out.push_str(&text);
        }
    }
    out.push_str("\r\n");
}

fn xlsx_row(sheet: &mut Worksheet, line: u32, row: &[Cell]) -> Result<(), XlsxError> {
    for (column, cell) in (0_u16..).zip(row) {
        match cell {
            Cell::Empty => {}
            Cell::Number(number) => {
                sheet.write_number(line, column, *number)?;
            }
            // Written as a string, never as a formula; the apostrophe guards whoever saves it as CSV again.
            Cell::Text(text) => {
                sheet.write_string(line, column, harmless(text))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn text(format: Format, rows: &[Vec<Cell>]) -> String {
        String::from_utf8(write(format, rows).unwrap()).unwrap()
    }

    #[test]
    fn a_turkish_excel_reads_it() {
        let rows = vec![vec![
            Cell::Text("Işıl; Şahin".into()),
            Cell::Number(2.5),
            Cell::Empty,
        ]];
        assert_eq!(
            text(Format::CsvTurkish, &rows),
            "\u{feff}\"Işıl; Şahin\";2,5;\r\n"
        );
        assert_eq!(text(Format::Csv, &rows), "Işıl; Şahin,2.5,\r\n");
    }

    #[test]
    fn a_workbook_holds_texts_and_no_formula() {
        let rows = vec![vec![Cell::Text("=1+1".into()), Cell::Number(0.5)]];
        let book = write(Format::Xlsx, &rows).unwrap();
        let mut files = zip::ZipArchive::new(std::io::Cursor::new(book)).unwrap();
        let mut read = |name: &str| {
            let mut content = String::new();
            files.by_name(name).unwrap().read_to_string(&mut content).unwrap();
            content
        };
        assert!(read("xl/sharedStrings.xml").contains("'=1+1"));
        let sheet = read("xl/worksheets/sheet1.xml");
        assert!(sheet.contains("<v>0.5</v>") && !sheet.contains("<f>"), "{sheet}");
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula(value in "[=+@\\-\t\r]?\\PC{0,12}") {
            let line = text(Format::Csv, &[vec![Cell::Text(value.clone())]]);
            // As a reader of CSV sees it.
            let cell = line.trim_end_matches("\r\n");
            let quoted = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
            let cell = quoted.map_or_else(|| cell.to_owned(), |cell| cell.replace("\"\"", "\""));
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t']), "{line}");
        }

        #[test]
        fn what_is_taken_in_pieces_is_the_whole(rows in prop::collection::vec(prop::collection::vec("\\PC{0,6}", 0..4), 0..20), every in 1usize..5) {
            let rows: Vec<Vec<Cell>> = rows.into_iter().map(|row| row.into_iter().map(Cell::Text).collect()).collect();
            let (mut sheet, mut pieces) = (Sheet::new(Format::CsvTurkish), Vec::new());
            for (number, row) in rows.iter().enumerate() {
                sheet.push(row).unwrap();
                if number % every == 0 {
                    pieces.extend(sheet.take());
                }
            }
            pieces.extend(sheet.finish().unwrap());
            prop_assert_eq!(pieces, write(Format::CsvTurkish, &rows).unwrap());
        }
    }
}
