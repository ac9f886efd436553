use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{bank, item};
use crate::{Format, Limits, read};

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn essay(text: &str) -> String {
    item(
        "cardinality='single' baseType='string'>",
        &format!("<p>{text}</p><extendedTextInteraction responseIdentifier='R'/>"),
        "",
    )
}

#[test]
fn packages_are_read_in_the_order_of_names() {
    let (first, second) = (essay("bir"), essay("iki"));
    let bytes = zip(&[
        ("imsmanifest.xml", "<manifest><item/></manifest>"),
        ("b/2.xml", &second),
        ("../a/1.xml", &first),
        ("__MACOSX/._1.xml", "\u{0}"),
        ("resim.png", "\u{0}"),
        ("test.xml", "<assessmentTest/>"),
        ("c.xml", "\u{0}"),
        ("q/assessment_qti.xml", &first),
        ("non_cc_assessments/q.xml.qti", &first),
    ]);
    let bank = bank(&bytes);
    let files: Vec<&str> = bank
        .questions
        .iter()
        .map(|imported| imported.file.as_str())
        .collect();
    assert_eq!(files, ["../a/1.xml", "b/2.xml", "non_cc_assessments/q.xml.qti"]);
    let faults: Vec<(&str, &str)> = bank
        .faults
        .iter()
        .map(|fault| (fault.file.as_str(), fault.code))
        .collect();
    assert_eq!(faults, [("c.xml", "encoding")]);
}

#[test]
fn packages_have_limits() {
    let item = essay(&"a".repeat(100_000));
    let bytes = zip(&[("1.xml", &item), ("2.xml", &item), ("3.xml", &item)]);
    let with = |limits: Limits| {
        let bank = read(Format::Qti, &bytes, &limits);
        (
            bank.questions.len(),
            bank.faults.iter().map(|fault| fault.code).collect::<Vec<&str>>(),
        )
    };
    assert_eq!(with(Limits::default()), (3, vec![]));
    assert_eq!(
        with(Limits {
            max_inflated_bytes: 150_000,
            ..Limits::default()
        }),
        (1, vec!["too_large"])
    );
    assert_eq!(
        with(Limits {
            max_files: 2,
            ..Limits::default()
        }),
        (0, vec!["too_large"])
    );
    assert_eq!(
        with(Limits {
            max_questions: 2,
            ..Limits::default()
        }),
        (2, vec!["too_large"])
    );
}

#[test]
fn broken_packages_are_a_fault() {
    let whole = zip(&[("1.xml", &essay("bir")), ("2.xml", &essay("iki"))]);
    assert_eq!(bank(&zip(&[("a.txt", "")])).faults[0].code, "syntax");
    for length in (4..whole.len()).step_by(7) {
        assert!(!bank(&whole[..length]).faults.is_empty());
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let bank = bank(&bytes);
        assert!(!bank.faults.is_empty() || !bank.questions.is_empty(), "{at}");
    }
}
