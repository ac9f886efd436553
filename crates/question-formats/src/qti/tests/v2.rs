use super::{code, credits, item, number, one, short};
use crate::{Body, FULL};

fn correct(values: &[&str]) -> String {
    let value = |value: &&str| format!("<value>{value}</value>");
    let values = values.iter().map(value).collect::<Vec<String>>().concat();
    format!("<correctResponse>{values}</correctResponse>")
}

fn choice(id: &str, text: &str) -> String {
    format!("<simpleChoice identifier='{id}'>{text}</simpleChoice>")
}

#[test]
fn version_2_choices() {
    let choices = choice(
        "a",
        "<b>Ankara</b><feedbackInline identifier='a'>Evet</feedbackInline>",
    ) + &choice("b", "İzmir");
    let body = format!(
        "<p>Türkiye</p><rubricBlock>gizli</rubricBlock><choiceInteraction responseIdentifier='R' maxChoices='1'><prompt>Başkent?</prompt>{choices}</choiceInteraction>"
    );
    let declaration = format!("cardinality='single' baseType='identifier'>{}", correct(&["a"]));
    let question = one(&item(&declaration, &body, ""));
    assert_eq!((question.title.as_str(), question.points), ("Ad", 2500));
    assert_eq!(question.text, "Türkiye\n\nBaşkent?");
    assert_eq!(credits(&question), [("Ankara", FULL), ("İzmir", 0)]);
    let Body::Single { choices } = &question.body else {
        panic!()
    };
    assert_eq!(
        (choices[0].feedback.as_str(), choices[1].feedback.as_str()),
        ("Evet", "")
    );
    let without = item("cardinality='single' baseType='identifier'>", &body, "");
    assert_eq!(code(&without), "no_correct_answer");
}

#[test]
fn version_2_multiple_choices_by_correct_ones_and_by_mapping() {
    let choices = ["H", "O", "C", "N"].map(|id| choice(id, id)).concat();
    let body = format!(
        "<choiceInteraction responseIdentifier='R' maxChoices='0'><prompt>Su?</prompt>{choices}</choiceInteraction>"
    );
    let declaration = format!(
        "cardinality='multiple' baseType='identifier'>{}",
        correct(&["H", "O"])
    );
    let question = one(&item(&declaration, &body, ""));
    assert_eq!(
        credits(&question),
        [("H", 5000), ("O", 5000), ("C", -5000), ("N", -5000)]
    );
    let mapping = "<mapping defaultValue='-2'><mapEntry mapKey='H' mappedValue='3'/><mapEntry mapKey='O' mappedValue='1'/><mapEntry mapKey='C' mappedValue='-1'/></mapping>";
    let processing = "<responseProcessing template='http://x/map_response'/>";
    let question = one(&item(&(declaration + mapping), &body, processing));
    assert_eq!(
        credits(&question),
        [("H", 7500), ("O", 2500), ("C", -2500), ("N", -5000)]
    );
}

#[test]
fn version_2_written_answers() {
    let body = "<p>Güneş <textEntryInteraction responseIdentifier='R'/> doğar.</p>";
    let declaration = format!("cardinality='single' baseType='string'>{}", correct(&["doğudan"]));
    let question = one(&item(&declaration, body, ""));
    assert_eq!(
        (question.text.as_str(), question.body),
        ("Güneş _____ doğar.", short(&[("doğudan", FULL)], true))
    );
    let mapping = "<mapping defaultValue='0'><mapEntry mapKey='York' mappedValue='1'/><mapEntry mapKey='york' mappedValue='0.5' caseSensitive='false'/></mapping>";
    let map = "<responseProcessing template='http://x/map_response'/>";
    let mapped = one(&item(&(declaration.clone() + mapping), body, map));
    assert_eq!(mapped.body, short(&[("York", FULL), ("york", 5000)], false));
    let pattern = "<responseProcessing><patternMatch pattern='a*'><variable identifier='R'/></patternMatch></responseProcessing>";
    assert_eq!(code(&item(&declaration, body, pattern)), "unsupported_type");
    let essay =
        "<extendedTextInteraction responseIdentifier='R'><prompt>Anlat.</prompt></extendedTextInteraction>";
    let question = one(&item("cardinality='single' baseType='string'>", essay, ""));
    assert_eq!((question.text.as_str(), question.body), ("Anlat.", Body::Essay));
}

#[test]
fn version_2_numbers() {
    let body = "<p>Kaç?</p><p><textEntryInteraction responseIdentifier='R'/></p>";
    let declaration = format!("cardinality='single' baseType='float'>{}", correct(&["4.136"]));
    let with = |processing: &str| {
        one(&item(
            &declaration,
            body,
            &format!("<responseProcessing>{processing}</responseProcessing>"),
        ))
    };
    let question = with("");
    assert_eq!(
        (question.text.as_str(), question.body),
        ("Kaç?", number("4.136", "0"))
    );
    let both = "<variable identifier='R'/><correct identifier='R'/>";
    assert_eq!(
        with(&format!(
            "<equal toleranceMode='relative' tolerance='5 5'>{both}</equal>"
        ))
        .body,
        number("4.136", "0.2068")
    );
    assert_eq!(
        with(&format!(
            "<equal toleranceMode='absolute' tolerance='0.1'>{both}</equal>"
        ))
        .body,
        number("4.136", "0.1")
    );
    assert_eq!(
        with(&format!(
            "<equalRounded roundingMode='decimalPlaces' figures='2'>{both}</equalRounded>"
        ))
        .body,
        number("4.136", "0.005")
    );
    let range = "<gte><variable identifier='R'/><baseValue>1</baseValue></gte><lte><variable identifier='R'/><baseValue>4</baseValue></lte>";
    assert_eq!(with(range).body, number("2.5", "1.5"));
}

#[test]
fn version_3_has_other_names() {
    let text = "<qti-assessment-item title='Ad'><qti-response-declaration identifier='R' cardinality='single' base-type='identifier'>\
        <qti-correct-response><qti-value>t</qti-value></qti-correct-response></qti-response-declaration>\
        <qti-item-body><p>Su ıslak mı?</p><qti-choice-interaction response-identifier='R' max-choices='1'>\
        <qti-simple-choice identifier='t'>Doğru</qti-simple-choice><qti-simple-choice identifier='f'>Yanlış\
        <qti-feedback-inline identifier='f'>Islak.</qti-feedback-inline></qti-simple-choice>\
        </qti-choice-interaction></qti-item-body></qti-assessment-item>";
    let question = one(text);
    assert_eq!(
        (question.text.as_str(), question.feedback.as_str()),
        ("Su ıslak mı?", "Islak.")
    );
    assert_eq!(question.body, Body::TrueFalse { answer: true });
}

#[test]
fn items_that_are_not_supported() {
    let declaration = "cardinality='single' baseType='identifier'>";
    let interaction = "<hottextInteraction responseIdentifier='R'/>";
    for body in [
        "<p>a</p>".to_owned(),
        interaction.to_owned(),
        interaction.repeat(2),
    ] {
        assert_eq!(code(&item(declaration, &body, "")), "unsupported_type", "{body}");
    }
    assert_eq!(
        code("<assessmentItem adaptive='true'><itemBody/></assessmentItem>"),
        "unsupported_type"
    );
    assert_eq!(code("<assessmentTest/>"), "unsupported_type");
    assert_eq!(code("<questestinterop/>"), "syntax");
    assert_eq!(code("\u{0}"), "encoding");
}
