use crate::{Bank, Body, Format, Limits, NumericAnswer, TextAnswer, read};

fn bank(text: &str) -> Bank {
    read(Format::MoodleXml, text.as_bytes(), &Limits::default())
}

fn answer(fraction: &str, text: &str, more: &str) -> String {
    format!("<answer fraction='{fraction}' format='html'><text><![CDATA[{text}]]></text>{more}</answer>")
}

fn question(kind: &str, inner: &str) -> String {
    format!(
        "<question type='{kind}'>\n<name><text>Ad</text></name><questiontext format='html'>\
         <text><![CDATA[<p>Bir <b>soru</b>?</p>]]></text><file name='x' encoding='base64'>AAAA</file></questiontext>\
         <defaultgrade>2.5000000</defaultgrade>{inner}\
         <tags><tag><text>cebir</text></tag></tags></question>\n"
    )
}

fn quiz(questions: &[String]) -> String {
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<quiz>\n{}</quiz>",
        questions.concat()
    )
}

const CATEGORY: &str =
    "<question type='category'><category><text>$course$/top/Bölüm/Bir</text></category></question>\n";

#[test]
fn a_choice_question_with_all_its_parts() {
    let feedback = "<feedback format='html'><text>&lt;i&gt;Evet&lt;/i&gt;</text></feedback>";
    let inner = answer("100", "<p>Doğru</p>", feedback)
        + &answer("-33.33333", "Yanlış", "")
        + "<single>true</single>";
    let general = "<generalfeedback format='html'><text>Açıklama</text></generalfeedback>";
    let bank = bank(&quiz(&[
        CATEGORY.to_owned(),
        question("multichoice", &(inner + general)),
    ]));
    assert_eq!(bank.faults, []);
    let imported = &bank.questions[0];
    assert_eq!(imported.line, 4);
    let question = &imported.question;
    assert_eq!(
        (question.title.as_str(), question.text.as_str()),
        ("Ad", "Bir soru?")
    );
    assert_eq!((question.points, question.feedback.as_str()), (2500, "Açıklama"));
    assert_eq!(question.tags, ["Bölüm/Bir", "cebir"]);
    let Body::Single { choices } = &question.body else {
        panic!()
    };
    assert_eq!(
        (
            choices[0].text.as_str(),
            choices[0].credit,
            choices[0].feedback.as_str()
        ),
        ("Doğru", 10_000, "Evet")
    );
    assert_eq!(choices[1].credit, -3333);
}

#[test]
fn several_right_choices_add_up() {
    let inner: String = ["33.33333", "33.33333", "33.33333", "-100"]
        .iter()
        .map(|f| answer(f, "seçenek", ""))
        .collect();
    let bank = bank(&quiz(&[question(
        "multichoice",
        &(inner + "<single>false</single>"),
    )]));
    let Body::Multiple { choices } = &bank.questions[0].question.body else {
        panic!()
    };
    let credits: Vec<i32> = choices.iter().map(|choice| choice.credit).collect();
    assert_eq!(credits, [3334, 3333, 3333, -10_000]);
}

#[test]
fn other_types() {
    let wrong = "<feedback format='html'><text>Çünkü</text></feedback>";
    let bank = bank(&quiz(&[
        question(
            "truefalse",
            &(answer("0", "true", wrong) + &answer("100", "false", "")),
        ),
        question(
            "shortanswer",
            &(answer("100", "Isparta", "") + &answer("0", "*", "") + "<usecase>1</usecase>"),
        ),
        question(
            "numerical",
            &answer("100", "-3.140", "<tolerance>0.01</tolerance>"),
        ),
        question("essay", ""),
    ]));
    assert_eq!(bank.faults, []);
    let bodies: Vec<&Body> = bank
        .questions
        .iter()
        .map(|imported| &imported.question.body)
        .collect();
    assert_eq!(*bodies[0], Body::TrueFalse { answer: false });
    assert_eq!(bank.questions[0].question.feedback, "Çünkü");
    let accepted = vec![TextAnswer {
        text: "Isparta".to_owned(),
        credit: 10_000,
    }];
    assert_eq!(
        *bodies[1],
        Body::Short {
            accepted,
            case_sensitive: true
        }
    );
    let accepted = vec![NumericAnswer {
        value: "-3.140".to_owned(),
        tolerance: "0.01".to_owned(),
        credit: 10_000,
    }];
    assert_eq!(*bodies[2], Body::Numeric { accepted });
    assert_eq!(*bodies[3], Body::Essay);
}

#[test]
fn faults_tell_why() {
    let bank = bank(&quiz(&[
        question("matching", ""),
        question("multichoice", &(answer("50", "a", "") + &answer("0", "b", ""))),
        question(
            "multichoice",
            &(answer("100", "<img src='x'>", "") + &answer("0", "b", "")),
        ),
        question("shortanswer", &answer("100", "a*", "")),
        question("numerical", &answer("100", "üç", "")),
        question("essay", "&bomb;"),
    ]));
    let codes: Vec<&str> = bank.faults.iter().map(|fault| fault.code).collect();
    let expected = [
        "unsupported_type",
        "no_correct_answer",
        "empty_text",
        "unsupported_type",
        "syntax",
        "syntax",
    ];
    assert_eq!(codes, expected);
    assert_eq!(bank.faults[1].line, 5);
}

#[test]
fn other_documents_are_a_fault() {
    for text in ["", "soru", "<html/>"] {
        assert_eq!(bank(text).faults[0].code, "syntax", "{text}");
    }
    assert_eq!(bank("<quiz/>"), Bank::default());
}
