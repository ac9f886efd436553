use proptest::prelude::*;

use super::write_gift;
use crate::{Bank, Body, Choice, FULL, Format, Limits, NumericAnswer, Question, TextAnswer, normal, read};

fn bank(text: &str) -> Bank {
    read(Format::Gift, text.as_bytes(), &Limits::default())
}

fn one(text: &str) -> Question {
    let bank = bank(text);
    assert_eq!(bank.faults, [], "{text}");
    assert_eq!(bank.questions.len(), 1, "{text}");
    bank.questions[0].question.clone()
}

fn code(text: &str) -> &'static str {
    let bank = bank(text);
    assert_eq!(bank.questions, [], "{text}");
    bank.faults[0].code
}

fn credits(question: &Question) -> Vec<(&str, i32, &str)> {
    let (Body::Single { choices } | Body::Multiple { choices }) = &question.body else {
        panic!("{question:?}")
    };
    choices
        .iter()
        .map(|choice| (choice.text.as_str(), choice.credit, choice.feedback.as_str()))
        .collect()
}

fn numbers(question: &Question) -> Vec<(&str, &str, i32)> {
    let Body::Numeric { accepted } = &question.body else {
        panic!("{question:?}")
    };
    accepted
        .iter()
        .map(|answer| (answer.value.as_str(), answer.tolerance.as_str(), answer.credit))
        .collect()
}

#[test]
fn choices_with_titles_weights_and_feedback() {
    let question = one(
        "// yorum\n::Başkent::Hangisi?{\n ~İzmir#Hayır\n ~%50%Bursa # eski\n\n =Ankara#Evet\n ####Genel}",
    );
    assert_eq!(
        (
            question.title.as_str(),
            question.text.as_str(),
            question.feedback.as_str()
        ),
        ("Başkent", "Hangisi?", "Genel")
    );
    assert_eq!(
        credits(&question),
        [
            ("İzmir", 0, "Hayır"),
            ("Bursa", 5000, "eski"),
            ("Ankara", FULL, "Evet")
        ]
    );
    let question = one("Kıta?{~%33.33333%Asya ~%33.33333%Avrupa ~%33.33333%Afrika ~%-100%Çin}");
    assert!(matches!(question.body, Body::Multiple { .. }));
    let parts: Vec<i32> = credits(&question).iter().map(|choice| choice.1).collect();
    assert_eq!(parts, [3334, 3333, 3333, -10_000]);
}

#[test]
fn a_missing_word_leaves_a_gap() {
    assert_eq!(one("Ankara {~ilçe =il} adıdır.").text, "Ankara _____ adıdır.");
    assert_eq!(one("İki artı iki {=dört =4}.").text, "İki artı iki _____.");
}

#[test]
fn true_or_false() {
    assert_eq!(one("Su ıslaktır.{T}").body, Body::TrueFalse { answer: true });
    let question = one("Su kurudur.{FALSE#Islaktır.#Aferin}");
    assert_eq!(
        (question.body, question.feedback.as_str()),
        (Body::TrueFalse { answer: false }, "Islaktır.")
    );
    assert_eq!(one("Su.{TRUE# #Aferin}").feedback, "Aferin");
}

#[test]
fn numbers_and_ranges() {
    assert_eq!(numbers(&one("a{#1822}")), [("1822", "0", FULL)]);
    assert_eq!(numbers(&one("a{#-3.142:0.001}")), [("-3.142", "0.001", FULL)]);
    assert_eq!(numbers(&one("a{#-5..4}")), [("-0.5", "4.5", FULL)]);
    let question = one("a{#\n =1822:0 #Evet\n =%50%1822:2\n =%0%5}");
    assert_eq!(numbers(&question), [("1822", "0", FULL), ("1822", "2", 5000)]);
    assert_eq!(question.feedback, "Evet");
    assert_eq!(numbers(&one("a{#3:2~#Hayır}")), [("3", "2", FULL)]);
}

#[test]
fn short_answers_and_essays() {
    let question = one("Kim?{=%100%Asya# =%75%asya =%0%*#Hayır}");
    let Body::Short {
        accepted,
        case_sensitive,
    } = &question.body
    else {
        panic!()
    };
    let accepted: Vec<(&str, i32)> = accepted
        .iter()
        .map(|answer| (answer.text.as_str(), answer.credit))
        .collect();
    assert_eq!(
        (accepted, *case_sensitive),
        (vec![("Asya", FULL), ("asya", 7500)], false)
    );
    assert_eq!(one("Anlat {}").body, Body::Essay);
}

#[test]
fn escapes_and_markup() {
    let question = one("[html]<p>1 \\= 1 &amp; \\{x\\}</p>{~\\= 2#a\\nb =<b>\\\\</b>#[plain]<i> }");
    assert_eq!(question.text, "1 = 1 & {x}");
    assert_eq!(credits(&question), [("= 2", 0, "a b"), ("\\", FULL, "<i>")]);
    assert_eq!(one("[markdown] **a**\\n- b  \nc{}").text, "**a**\n- b  \nc");
    assert_eq!(one("::a\\:::\\(x\\){}").title, "a:");
    assert_eq!(one("a -> b {~x -> y =z}").text, "a -> b");
}

#[test]
fn categories_and_comments_become_tags() {
    let bank = bank(
        "$CATEGORY: $course$/top/Bölüm 1: x\n\n// [id:7] [tag:a]\n// [tag:b \\] c] [points:0.5]\nBir {}\n\nİki {}\n$CATEGORY: $course$\n\nÜç {}",
    );
    let tags: Vec<&[String]> = bank
        .questions
        .iter()
        .map(|imported| imported.question.tags.as_slice())
        .collect();
    assert_eq!(tags[0], ["Bölüm 1: x", "a", "b ] c"]);
    assert_eq!(bank.questions[0].question.points, 500);
    assert_eq!((bank.questions[0].line, bank.questions[1].line), (5, 7));
    assert_eq!(tags[1], ["Bölüm 1: x"]);
    assert!(tags[2].is_empty());
}

#[test]
fn faults_tell_why() {
    let cases = [
        ("Eşle {=a -> b =c -> d}", "unsupported_type"),
        ("Yalnız bir açıklama.", "unsupported_type"),
        ("a {=b*c}", "unsupported_type"),
        ("a {=b", "syntax"),
        ("::a {=b}", "syntax"),
        ("a {b}", "syntax"),
        ("a {=b} c {=d}", "syntax"),
        ("a {#üç}", "syntax"),
        ("a {#5..1}", "syntax"),
        ("a {#}", "no_correct_answer"),
        ("a {~b ~c}", "no_correct_answer"),
        ("a {=%50%b}", "no_correct_answer"),
        ("{=a =b}", "empty_text"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(text), expected, "{text}");
    }
    let bank = bank("a {=b\n\nc {=d}\n\n\ne\n");
    assert_eq!(bank.questions[0].line, 3);
    let places: Vec<u32> = bank.faults.iter().map(|fault| fault.line).collect();
    assert_eq!(places, [1, 6]);
}

#[test]
fn sources_that_are_no_text_or_too_large() {
    let limits = Limits {
        max_questions: 2,
        max_inflated_bytes: 30,
        ..Limits::default()
    };
    let fault = |bytes: &[u8]| {
        read(Format::Gift, bytes, &limits)
            .faults
            .pop()
            .map(|fault| (fault.line, fault.code))
    };
    assert_eq!(fault(b"a\n{\xff}"), Some((2, "encoding")));
    assert_eq!(fault(b"a\n\n\0{}"), Some((3, "encoding")));
    assert_eq!(fault(&[b'a'; 31]), Some((1, "too_large")));
    let bank = read(Format::Gift, b"\xef\xbb\xbfa{}\n\nb{}\n\nc{}\n\nd{}", &limits);
    assert_eq!(
        (bank.questions.len(), bank.faults.len(), bank.faults[0].code),
        (2, 1, "too_large")
    );
    assert_eq!(bank.questions[0].question.text, "a");
}

#[test]
fn a_question_that_cannot_be_asked_is_left_out() {
    let mut question = one("a{=b ~c}");
    question.body = Body::Short {
        accepted: Vec::new(),
        case_sensitive: false,
    };
    assert!(bank(&write_gift(&[question])).questions.is_empty());
}

fn any_text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "~",
        "=",
        "#",
        "{",
        "}",
        ":",
        "\\",
        "\n",
        "\r",
        "\t",
        " ",
        "::",
        "####",
        "//",
        "->",
        "%",
        "%50%",
        "*",
        "\\*",
        "[",
        "]",
        "[html]",
        "[plain]",
        "$CATEGORY: x",
        "\n\n",
        "\\n",
        "_____",
        "<b>",
        "&amp;",
        "ğ",
        "İ",
        "ı",
        "ş",
        "Ç",
        "ü",
        "\u{a0}",
        "\u{feff}",
        "TRUE",
        "T",
        "5",
    ]);
    prop_oneof![
        4 => prop::collection::vec(special.prop_map(str::to_owned), 0..8).prop_map(|parts| parts.concat()),
        1 => any::<String>(),
        2 => "[a-zçğıöşü ]{1,20}",
    ]
}

fn any_choice() -> impl Strategy<Value = Choice> {
    let credit = prop_oneof![Just(FULL), Just(0), Just(3333), Just(-5000), -FULL..=FULL];
    (any_text(), credit, any_text()).prop_map(|(text, credit, feedback)| Choice {
        text,
        credit,
        feedback,
    })
}

fn any_number() -> impl Strategy<Value = NumericAnswer> {
    (
        "[-+]?[0-9]{1,12}(\\.[0-9]{0,9})?(e-?[0-9])?",
        "[0-9]{0,3}\\.[0-9]{1,6}",
        prop_oneof![Just(FULL), 0..=FULL],
    )
        .prop_map(|(value, tolerance, credit)| NumericAnswer {
            value,
            tolerance,
            credit,
        })
}

fn any_body() -> impl Strategy<Value = Body> {
    let choices = || prop::collection::vec(any_choice(), 2..7);
    let text = (any_text(), prop_oneof![Just(FULL), 0..=FULL])
        .prop_map(|(text, credit)| TextAnswer { text, credit });
    prop_oneof![
        choices().prop_map(|choices| Body::Single { choices }),
        choices().prop_map(|choices| Body::Multiple { choices }),
        any::<bool>().prop_map(|answer| Body::TrueFalse { answer }),
        prop::collection::vec(any_number(), 1..4).prop_map(|accepted| Body::Numeric { accepted }),
        (prop::collection::vec(text, 1..4), any::<bool>()).prop_map(|(accepted, case_sensitive)| {
            Body::Short {
                accepted,
                case_sensitive,
            }
        }),
        Just(Body::Essay),
    ]
}

fn any_question() -> impl Strategy<Value = Question> {
    (
        any_text(),
        any_text(),
        any_body(),
        0..9000_u32,
        prop::collection::vec(any_text(), 0..4),
        any_text(),
    )
        .prop_map(|(title, text, body, points, tags, feedback)| Question {
            title,
            text,
            body,
            points,
            tags,
            feedback,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(questions in prop::collection::vec(any_question(), 1..4)) {
        let normal: Vec<Question> = questions.iter().cloned().filter_map(|question| normal::normal(question).ok()).collect();
        let text = write_gift(&questions);
        let bank = bank(&text);
        let read: Vec<Question> = bank.questions.into_iter().map(|imported| imported.question).collect();
        prop_assert_eq!(&read, &normal, "{}", text);
        prop_assert_eq!(bank.faults, vec![]);
        // The normal form is its own.
        for question in normal {
            prop_assert_eq!(normal::normal(question.clone()), Ok(question));
        }
    }

    #[test]
    fn any_gift_is_read_without_a_panic(parts in prop::collection::vec(any_text(), 0..12)) {
        let bank = bank(&parts.concat());
        let questions: Vec<Question> = bank.questions.into_iter().map(|imported| imported.question).collect();
        let again = read(Format::Gift, write_gift(&questions).as_bytes(), &Limits::default());
        let again: Vec<Question> = again.questions.into_iter().map(|imported| imported.question).collect();
        prop_assert_eq!(again, questions);
    }
}
