//! Tables as files that spreadsheets open, without letting a cell become a formula.

use contracts::files::v1::File;
use problem::Problem;
use rust_xlsxwriter::Workbook;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// UTF-8, commas, decimal points.
    Csv,
    /// As a Turkish Excel opens it with a double click: semicolons, decimal commas, a byte order mark.
    CsvTurkish,
    Xlsx,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    Number(f64),
    Text(String),
}

pub fn write(name: &str, format: Format, rows: &[Vec<Cell>]) -> Result<File, Problem> {
    let (content_type, ending) = match format {
        Format::Csv | Format::CsvTurkish => ("text/csv; charset=utf-8", "csv"),
        Format::Xlsx => (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "xlsx",
        ),
    };
    let content = match format {
        Format::Csv => csv(rows, ',', '.'),
        Format::CsvTurkish => [b"\xef\xbb\xbf".as_slice(), &csv(rows, ';', ',')].concat(),
        Format::Xlsx => xlsx(rows).map_err(Problem::internal)?,
    };
    Ok(File {
        content_type: content_type.to_owned(),
        name: format!("{name}.{ending}"),
        content,
    })
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
fn csv(rows: &[Vec<Cell>], separator: char, decimal: char) -> Vec<u8> {
    let mut out = String::new();
    for row in rows {
        for (place, cell) in row.iter().enumerate() {
            if place > 0 {
                out.push(separator);
            }
            let text = match cell {
                Cell::Empty => String::new(),
                Cell::Number(number) => number.to_string().replace('.', &decimal.to_string()),
                Cell::Text(text) => harmless(text),
            };
            if text.contains([separator, '"', '\n', '\r', '\'']) {
                out.push('"');
                out.push_str(&text.replace('"', "\"\""));
                out.push('"');
            } else {
                out.push_str(&text);
            }
        }
        out.push_str("\r\n");
    }
    out.into_bytes()
}

fn xlsx(rows: &[Vec<Cell>]) -> Result<Vec<u8>, rust_xlsxwriter::XlsxError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (line, row) in (0_u32..).zip(rows) {
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
    }
    book.save_to_buffer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(file: &File) -> String {
        String::from_utf8(file.content.clone()).unwrap()
    }

    #[test]
    fn a_turkish_excel_reads_it() {
        let rows = vec![vec![
            Cell::Text("Işıl; Şahin".into()),
            Cell::Number(2.5),
            Cell::Empty,
        ]];
        let file = write("r", Format::CsvTurkish, &rows).unwrap();
        assert_eq!(text(&file), "\u{feff}\"Işıl; Şahin\";2,5;\r\n");
        assert_eq!(
            text(&write("r", Format::Csv, &rows).unwrap()),
            "Işıl; Şahin,2.5,\r\n"
        );
        assert!(
            write("r", Format::Xlsx, &rows)
                .unwrap()
                .content
                .starts_with(b"PK")
        );
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula(value in "[=+@\\-\t\r]?\\PC{0,12}") {
            let file = write("r", Format::Csv, &[vec![Cell::Text(value.clone())]]).unwrap();
            let line = text(&file);
            let cell = line.trim_start_matches('"');
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t']), "{line}");
        }
    }
}
