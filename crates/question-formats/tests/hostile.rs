//! Sources that are broken or made to do harm: any bytes are read without a panic, and in little time.

use std::io::{Cursor, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use question_formats::{Format, Limits, Question, read, write_gift};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const FORMATS: [Format; 4] = [Format::Gift, Format::MoodleXml, Format::Aiken, Format::Qti];

fn each(numbers: Range<usize>, text: impl Fn(usize) -> String) -> String {
    numbers.map(text).collect::<Vec<String>>().concat()
}

fn check(format: Format, bytes: &[u8]) {
    let bank = read(format, bytes, &Limits::default());
    assert!(bank.faults.iter().all(|fault| fault.line > 0));
    let questions: Vec<Question> = bank
        .questions
        .into_iter()
        .map(|imported| imported.question)
        .collect();
    let again = read(
        Format::Gift,
        write_gift(&questions).as_bytes(),
        &Limits::default(),
    );
    let again: Vec<Question> = again
        .questions
        .into_iter()
        .map(|imported| imported.question)
        .collect();
    assert_eq!(again, questions);
}

const PARTS: [&str; 62] = [
    "<quiz>",
    "</quiz>",
    "<question type='multichoice'>",
    "<question type='truefalse'>",
    "<question type='shortanswer'>",
    "<question type='numerical'>",
    "</question>",
    "<questiontext format='html'>",
    "</questiontext>",
    "<text>",
    "</text>",
    "<answer fraction='100'>",
    "<answer fraction='-50'>",
    "</answer>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "&amp;",
    "&#0;",
    "&x;",
    "<!DOCTYPE a [",
    "]>",
    "<item>",
    "</item>",
    "<presentation>",
    "</presentation>",
    "<mattext texttype='text/html'>",
    "</mattext>",
    "<response_lid ident='r'>",
    "</response_lid>",
    "<render_choice>",
    "</render_choice>",
    "<response_label ident='a'>",
    "</response_label>",
    "<varequal>a</varequal>",
    "<setvar>1</setvar>",
    "<qti-assessment-item>",
    "</qti-assessment-item>",
    "<qti-item-body>",
    "</qti-item-body>",
    "<qti-choice-interaction max-choices='1'>",
    "</qti-choice-interaction>",
    "<qti-simple-choice identifier='a'>a</qti-simple-choice>",
    "<qti-response-declaration identifier='RESPONSE'>",
    "</qti-response-declaration>",
    "<qti-correct-response><qti-value>a</qti-value></qti-correct-response>",
    "<p>",
    "</p>",
    "<sup>",
    "</sup>",
    "<math>",
    "</math>",
    "<mfrac>",
    "</mfrac>",
    "<ul><li>",
    "</ul>",
    "ANSWER: A",
    "\nA) a",
    "\n",
    "soru",
    "1e9",
];

fn parts() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..200), zip in any::<bool>()) {
        if zip {
            bytes.splice(0..0, *b"PK\x03\x04");
        }
        FORMATS.into_iter().for_each(|format| check(format, &bytes));
    }

    #[test]
    fn any_parts(text in parts()) {
        FORMATS.into_iter().for_each(|format| check(format, text.as_bytes()));
        check(Format::MoodleXml, format!("<quiz><question type='essay'><questiontext><text>{text}").as_bytes());
    }
}

/// What would take minutes if the time grew with the square of the length.
#[test]
fn long_sources_take_little_time() {
    let essay = |text: &str| {
        format!(
            "<quiz><question type='essay'><questiontext><text><![CDATA[{text}]]></text></questiontext></question></quiz>"
        )
    };
    let cases: Vec<(&str, Format, String)> = vec![
        ("open tags", Format::MoodleXml, "<question ".repeat(60_000)),
        ("open items", Format::Qti, "<item>".repeat(60_000)),
        ("wrong ends", Format::Qti, "<item></a></item>".repeat(30_000)),
        ("deep", Format::Qti, "<item>".to_owned() + &"<a>".repeat(200_000)),
        (
            "attributes",
            Format::Qti,
            format!("<item {}/>", "a='' ".repeat(200_000)),
        ),
        (
            "less than",
            Format::MoodleXml,
            essay(&"<x ".repeat(200_000)).replace("<question t", "<question format='a' t"),
        ),
        (
            "html",
            Format::MoodleXml,
            essay(&"<x ".repeat(200_000)).replace("<questiontext>", "<questiontext format='html'>"),
        ),
        ("quotes", Format::MoodleXml, essay(&"<b x='".repeat(100_000))),
        ("comments", Format::MoodleXml, essay(&"<!-- ".repeat(100_000))),
        ("raised", Format::MoodleXml, essay(&"<sup>x".repeat(100_000))),
        (
            "formula",
            Format::MoodleXml,
            essay(&format!("<math>{}", "<mrow>x".repeat(100_000))),
        ),
        ("references", Format::MoodleXml, essay(&"&".repeat(300_000))),
        ("scripts", Format::MoodleXml, essay(&"<script>".repeat(100_000))),
        ("lists", Format::MoodleXml, essay(&"<ul><li>".repeat(100_000))),
        ("braces", Format::Gift, "{".repeat(500_000)),
        ("open answers", Format::Gift, "a {=b\n\n".repeat(100_000)),
        (
            "answers",
            Format::Gift,
            format!("a {{{}}}", "=b ".repeat(300_000)),
        ),
        (
            "different answers",
            Format::Gift,
            format!("a {{{}}}", each(0..100_000, |n| format!("={n} "))),
        ),
        ("weights", Format::Gift, format!("a {{{}}}", "~%".repeat(300_000))),
        ("titles", Format::Gift, "::a\n".repeat(200_000)),
        (
            "notes",
            Format::Gift,
            "// [tag:".repeat(100_000) + "\n" + &"// [tag:a]\n".repeat(100_000) + "a {}",
        ),
        ("hashes", Format::Gift, format!("a {{=b{}}}", "#".repeat(300_000))),
        (
            "choices",
            Format::Aiken,
            "a\n".to_owned() + &"A) b\n".repeat(200_000),
        ),
        ("answers", Format::Aiken, "ANSWER: A\n".repeat(200_000)),
    ];
    for (name, format, text) in cases {
        let start = Instant::now();
        read(format, text.as_bytes(), &Limits::default());
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(10), "{name}: {taken:?}");
    }
}

#[test]
fn a_large_item_takes_little_time() {
    let labels = each(0..190, |n| {
        format!("<response_label ident='{n}'><material><mattext>{n}</mattext></material></response_label>")
    });
    let condition = |n: usize| {
        format!(
            "<respcondition><conditionvar><varequal>{n}</varequal></conditionvar><setvar>1</setvar><displayfeedback linkrefid='{n}'/></respcondition>"
        )
    };
    let conditions = each(0..9_000, condition);
    let text = format!(
        "<item><presentation>a<response_lid rcardinality='Multiple'><render_choice>{labels}</render_choice></response_lid></presentation><resprocessing>{conditions}</resprocessing></item>"
    );
    let start = Instant::now();
    let bank = read(Format::Qti, text.as_bytes(), &Limits::default());
    assert_eq!((bank.questions.len(), bank.faults), (1, vec![]));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_bomb_is_not_inflated() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let zeros = vec![b' '; 1 << 20];
    writer.start_file("a.xml", SimpleFileOptions::default()).unwrap();
    for _ in 0..80 {
        writer.write_all(&zeros).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    assert!(bytes.len() < 200_000);
    let limits = Limits {
        max_inflated_bytes: 1 << 20,
        ..Limits::default()
    };
    let bank = read(Format::Qti, &bytes, &limits);
    assert_eq!(
        bank.faults.iter().map(|fault| fault.code).collect::<Vec<&str>>(),
        ["too_large"]
    );
}

#[test]
fn entities_are_not_expanded() {
    let levels = each(1..20, |n| {
        format!("<!ENTITY e{n} '&e{m};&e{m};&e{m};&e{m};'>", m = n - 1)
    });
    for body in ["&e19;", "&file;"] {
        let text = format!(
            "<!DOCTYPE quiz [<!ENTITY e0 'ha'>{levels}<!ENTITY file SYSTEM 'file:///etc/passwd'>]>\
             <quiz><question type='essay'><questiontext><text>{body}</text></questiontext></question></quiz>"
        );
        let bank = read(Format::MoodleXml, text.as_bytes(), &Limits::default());
        assert_eq!(
            (bank.questions.len(), bank.faults.len(), bank.faults[0].code),
            (0, 1, "syntax")
        );
    }
}
