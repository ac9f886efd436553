//! Whatever the bytes are: rows or faults, in the order of their lines; and what is written is read again.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::io::{Cursor, Write};

use people_files::{CourseRef, Enrollments, People, RowFault};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

fn key(address: &str) -> String {
    address.to_lowercase()
}

fn check(bytes: &[u8]) {
    let mut last = 0;
    let mut grows = |line: u64| {
        assert!(line >= last, "{line} after {last}");
        last = line;
    };
    if let Ok(people) = People::new(bytes, key) {
        for row in people {
            grows(row.map_or_else(|fault| fault.line, |row| row.line));
        }
    }
    if let Ok(rows) = Enrollments::new(bytes) {
        rows.for_each(drop);
    }
}

fn package(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer
            .start_file(*name, SimpleFileOptions::default().compression_level(Some(1)))
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const PARTS: &[&str] = &[
    "email",
    "ad soyad",
    "status",
    "role",
    "course1",
    "sourcedId",
    "a@x",
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "sep=;",
    "\u{feff}",
    "tobedeleted",
    "\0",
    "é",
    "İ",
    " ",
    "userSourcedId",
];

fn value() -> impl Strategy<Value = String> {
    "[a-zğüşıöçİĞÜŞÖÇ\"',;\t=+@-]{1,12}( [A-ZÇ\"]{1,5})?"
        .prop_filter("not blank", |text| !text.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..300), zip in any::<bool>()) {
        if zip {
            bytes.splice(0..0, *b"PK\x03\x04");
        }
        check(&bytes);
    }

    #[test]
    fn any_parts(parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..60)) {
        check(parts.concat().as_bytes());
        let text = format!("email,ad,status,sourcedId,course1,classSourcedId,userSourcedId\n{}", parts.concat());
        check(text.as_bytes());
        check(&package(&[("users.csv", text.as_bytes()), ("enrollments.csv", text.as_bytes())]));
    }

    #[test]
    fn what_is_written_is_read(
        people in prop::collection::vec((value(), value()), 1..40),
        delimiter in prop::sample::select(vec![b',', b';', b'\t']),
        windows in any::<bool>(),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(["E-posta", "Ad Soyad", "Bölüm", "sütun"]).unwrap();
        for (index, (name, department)) in people.iter().enumerate() {
            writer.write_record([&format!("p{index}@okul.edu.tr"), name, department, "x"]).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let bytes = if windows {
            let text = String::from_utf8(bytes).unwrap();
            encoding_rs::WINDOWS_1254.encode(&text).0.into_owned()
        } else {
            bytes
        };
        let read = People::new(&bytes, key).unwrap();
        prop_assert_eq!(read.ignored_columns(), ["sütun"]);
        let read: Vec<_> = read.collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), people.len());
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (index, (row, (name, department))) in read.iter().zip(&people).enumerate() {
            prop_assert_eq!(row.line, index as u64 + 2);
            prop_assert_eq!(&row.email, &format!("p{index}@okul.edu.tr"));
            prop_assert_eq!(&row.full_name, &plain(name));
            prop_assert_eq!(&row.department, &Some(plain(department)));
        }
    }
}

fn codes(text: &str) -> Vec<(u64, &'static str, &'static str)> {
    People::new(text.as_bytes(), key)
        .unwrap()
        .filter_map(Result::err)
        .map(|fault| (fault.line, fault.column, fault.code))
        .collect()
}

#[test]
fn faulty_rows_are_told_and_the_others_are_read() {
    let text = "email,ad,soyad,rol,dil,status\n\
                a@okul.edu,Ada,Yılmaz,Öğretmen,tr_TR,active\n\
                A@OKUL.edu,Ada,Yılmaz,,,\n\
                yok,Can,,,,\n\
                ,Can,,,,\n\
                b@okul.edu,,,,,\n\
                c@okul.edu,Ece,,,de,\n\
                d@okul.edu,E\u{7}ce,,,,\n\
                e@okul.edu,Ece,,,,gone\n\
                f@okul.edu,Ece,,aide,EN,tobedeleted\n";
    assert_eq!(
        codes(text),
        [
            (3, "email", "email_repeated"),
            (4, "email", "email_invalid"),
            (5, "email", "email_missing"),
            (6, "full_name", "name_missing"),
            (7, "locale", "locale_unknown"),
            (8, "full_name", "control_character"),
            (9, "status", "status_unknown"),
        ]
    );
    let of: Vec<String> = People::new(text.as_bytes(), key)
        .unwrap()
        .filter_map(Result::err)
        .map(|fault| fault.email)
        .collect();
    let expected = [
        "A@OKUL.edu",
        "",
        "",
        "b@okul.edu",
        "c@okul.edu",
        "d@okul.edu",
        "e@okul.edu",
    ];
    assert_eq!(of, expected, "whoever can be named is");
    let rows: Vec<_> = People::new(text.as_bytes(), key)
        .unwrap()
        .filter_map(Result::ok)
        .map(|row| {
            (
                row.full_name,
                row.role.unwrap(),
                row.locale.unwrap(),
                row.deactivate,
            )
        })
        .collect();
    let row =
        |name: &str, locale: &str, gone| (name.to_owned(), "teacher".to_owned(), locale.to_owned(), gone);
    assert_eq!(rows, [row("Ada Yılmaz", "tr", false), row("Ece", "en", true)]);
}

#[test]
fn a_file_that_is_none_is_refused_at_its_header() {
    let code = |bytes: &[u8]| People::new(bytes, key).err().map(|fault: RowFault| fault.code);
    assert_eq!(code(b""), Some("empty"));
    assert_eq!(code(b"\n\n,,\n"), Some("empty"));
    assert_eq!(code(b"ad soyad\nAda\n"), Some("column_missing"));
    assert_eq!(code(b"email\na@x\n"), Some("column_missing"));
    assert_eq!(code(b"email,e-posta,ad\n"), Some("column_repeated"));
    assert_eq!(code(b"PK\x03\x04 not a zip"), Some("package_broken"));
    assert_eq!(code(&package(&[("orgs.csv", b"a")])), Some("file_missing"));
    let many: Vec<(String, &[u8])> = (0..101).map(|n| (format!("{n}.csv"), b"".as_slice())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert_eq!(code(&package(&many)), Some("too_large"));
    // Small to send, large to inflate.
    let bomb = vec![b' '; (32 << 20) + 1];
    assert_eq!(code(&package(&[("users.csv", &bomb)])), Some("too_large"));
}

#[test]
fn a_line_of_moodle_has_an_enrolment_for_each_course() {
    let text = "username,password,firstname,lastname,email,course1,role1,course2,enrolstatus2\n\
                ada,secret,Ada,Yılmaz,ada@okul.edu,mat1,student,fiz1,1\n\
                ece,secret,Ece,Kaya,ece@okul.edu,,,fiz1,0\n";
    let people = People::new(text.as_bytes(), key).unwrap();
    assert!(people.has_plain_passwords());
    assert_eq!(people.filter_map(Result::ok).count(), 2);
    let rows: Vec<_> = Enrollments::new(text.as_bytes())
        .unwrap()
        .map(Result::unwrap)
        .map(|row| (row.line, row.email, row.course, row.role, row.status))
        .collect();
    let row = |line, email: &str, course: &str, role: Option<&str>, status: Option<&str>| {
        let course = Some(CourseRef::Code(course.to_owned()));
        (
            line,
            email.to_owned(),
            course,
            role.map(str::to_owned),
            status.map(str::to_owned),
        )
    };
    assert_eq!(
        rows,
        [
            row(2, "ada@okul.edu", "mat1", Some("student"), None),
            row(2, "ada@okul.edu", "fiz1", None, Some("suspended")),
            row(3, "ece@okul.edu", "fiz1", None, None),
        ]
    );
}

#[test]
fn rows_of_a_package_are_named_by_its_users() {
    let users = "sourcedId,email\nu1,ada@okul.edu\nu2,\n";
    let enrollments = "sourcedId,classSourcedId,userSourcedId,role,status\n\
                       1,c1,u1,student,active\n\
                       2,,u1,student,active\n\
                       3,c1,u1,student,ac\u{7}tive\n\
                       4,c1,u2,student,active\n\
                       5,c1,u3,student,active\n";
    let bytes = package(&[
        ("users.csv", users.as_bytes()),
        ("enrollments.csv", enrollments.as_bytes()),
    ]);
    let faults: Vec<_> = Enrollments::new(&bytes)
        .unwrap()
        .filter_map(Result::err)
        .map(|fault| (fault.line, fault.code, fault.email))
        .collect();
    let fault = |line, code, email: &str| (line, code, email.to_owned());
    assert_eq!(
        faults,
        [
            fault(3, "course_missing", "ada@okul.edu"),
            fault(4, "control_character", "ada@okul.edu"),
            fault(5, "email_missing", ""),
            fault(6, "user_unknown", ""),
        ]
    );
}
