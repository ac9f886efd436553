mod package;
mod v1;
mod v2;

use crate::{Bank, Body, FULL, Format, Limits, NumericAnswer, Question, TextAnswer, read};

fn bank(bytes: &[u8]) -> Bank {
    read(Format::Qti, bytes, &Limits::default())
}

fn one(text: &str) -> Question {
    let bank = bank(text.as_bytes());
    assert_eq!(bank.faults, [], "{text}");
    assert_eq!(bank.questions.len(), 1, "{text}");
    bank.questions[0].question.clone()
}

fn code(text: &str) -> &'static str {
    let bank = bank(text.as_bytes());
    assert_eq!(bank.questions, [], "{text}");
    assert_eq!(bank.faults.len(), 1, "{text}");
    bank.faults[0].code
}

fn credits(question: &Question) -> Vec<(&str, i32)> {
    let (Body::Single { choices } | Body::Multiple { choices }) = &question.body else {
        panic!("{question:?}")
    };
    choices
        .iter()
        .map(|choice| (choice.text.as_str(), choice.credit))
        .collect()
}

fn number(value: &str, tolerance: &str) -> Body {
    let answer = NumericAnswer {
        value: value.to_owned(),
        tolerance: tolerance.to_owned(),
        credit: FULL,
    };
    Body::Numeric {
        accepted: vec![answer],
    }
}

fn short(accepted: &[(&str, i32)], case_sensitive: bool) -> Body {
    let accepted = accepted.iter().map(|(text, credit)| TextAnswer {
        text: (*text).to_owned(),
        credit: *credit,
    });
    Body::Short {
        accepted: accepted.collect(),
        case_sensitive,
    }
}

/// An item of version 2; the same one of version 3 has other names.
fn item(declaration: &str, body: &str, processing: &str) -> String {
    format!(
        "<?xml version='1.0'?>\n<assessmentItem xmlns='http://www.imsglobal.org/xsd/imsqti_v2p1' identifier='i' title='Ad'>\n\
         <responseDeclaration identifier='R' {declaration}</responseDeclaration>\n\
         <outcomeDeclaration identifier='SCORE' cardinality='single' baseType='float' normalMaximum='2.5'/>\n\
         <itemBody>{body}</itemBody>{processing}</assessmentItem>"
    )
}
