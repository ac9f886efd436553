use super::{code, credits, number, one, short};
use crate::{Body, FULL};

fn v1(kind: &str, presentation: &str, conditions: &str) -> String {
    format!(
        "<questestinterop>\n<item ident='1' title='Ad'><itemmetadata><qtimetadatafield><fieldlabel>question_type</fieldlabel>\
         <fieldentry>{kind}</fieldentry></qtimetadatafield><qtimetadatafield><fieldlabel>points_possible</fieldlabel>\
         <fieldentry>3.5</fieldentry></qtimetadatafield></itemmetadata><presentation><material>\
         <mattext texttype='text/html'>&lt;p&gt;Soru?&lt;/p&gt;</mattext></material>{presentation}</presentation>\
         <resprocessing>{conditions}</resprocessing>\
         <itemfeedback ident='general_fb'><material><mattext>Genel</mattext></material></itemfeedback>\
         <itemfeedback ident='a_fb'><material><mattext>A için</mattext></material></itemfeedback>\
         </item></questestinterop>"
    )
}

fn labels(cardinality: &str, ids: &[&str]) -> String {
    let label = |id: &&str| {
        format!("<response_label ident='{id}'><material><mattext>{id}</mattext></material></response_label>")
    };
    let labels = ids.iter().map(label).collect::<Vec<String>>().concat();
    format!(
        "<response_lid ident='r' rcardinality='{cardinality}'><render_choice>{labels}</render_choice></response_lid>"
    )
}

fn condition(test: &str, action: &str, score: &str) -> String {
    format!(
        "<respcondition><conditionvar>{test}</conditionvar><setvar action='{action}' varname='SCORE'>{score}</setvar></respcondition>"
    )
}

fn equal(value: &str) -> String {
    format!("<varequal respident='r'>{value}</varequal>")
}

#[test]
fn version_1_choices() {
    let shown = "<respcondition continue='Yes'><conditionvar><varequal respident='r'>a</varequal></conditionvar><displayfeedback linkrefid='a_fb'/></respcondition>";
    let conditions =
        shown.to_owned() + &condition(&equal("b"), "Set", "100") + &condition(&equal("a"), "Set", "50");
    let question = one(&v1(
        "multiple_choice_question",
        &labels("Single", &["a", "b", "c"]),
        &conditions,
    ));
    assert_eq!(
        (
            question.text.as_str(),
            question.points,
            question.feedback.as_str()
        ),
        ("Soru?", 3500, "Genel")
    );
    assert_eq!(credits(&question), [("a", 5000), ("b", FULL), ("c", 0)]);
    let Body::Single { choices } = &question.body else {
        panic!()
    };
    assert_eq!(
        (choices[0].feedback.as_str(), choices[1].feedback.as_str()),
        ("A için", "")
    );
    let together = condition(
        &format!("<and>{}<not>{}</not>{}</and>", equal("a"), equal("b"), equal("c")),
        "Set",
        "100",
    );
    let question = one(&v1(
        "multiple_answers_question",
        &labels("Multiple", &["a", "b", "c"]),
        &together,
    ));
    assert_eq!(credits(&question), [("a", 5000), ("b", -5000), ("c", 5000)]);
    let each = condition(&equal("a"), "Add", "25")
        + &condition(&equal("b"), "Add", "-10")
        + &condition(&equal("c"), "Add", "75");
    let question = one(&v1("", &labels("Multiple", &["a", "b", "c"]), &each));
    assert_eq!(credits(&question), [("a", 2500), ("b", -1000), ("c", 7500)]);
    let question = one(&v1(
        "true_false_question",
        &labels("Single", &["True", "False"]),
        &condition(&equal("False"), "Set", "100"),
    ));
    assert_eq!(question.body, Body::TrueFalse { answer: false });
}

#[test]
fn version_1_written_answers() {
    let fib = |kind: &str| {
        format!(
            "<response_str ident='r'><render_fib fibtype='{kind}'><response_label ident='x'/></render_fib></response_str>"
        )
    };
    let texts = condition(&(equal("İl") + &equal("il")), "Set", "100");
    let question = one(&v1("short_answer_question", &fib("String"), &texts));
    assert_eq!(question.body, short(&[("İl", FULL), ("il", FULL)], false));
    let range = "<or><varequal respident='r'>42.0</varequal><and><vargt respident='r'>41.995</vargt><varlte respident='r'>42.005</varlte></and></or>";
    let question = one(&v1(
        "numerical_question",
        &fib("Decimal"),
        &condition(range, "Set", "100"),
    ));
    assert_eq!(question.body, number("42", "0.005"));
    let question = one(&v1("", &fib("Integer"), &condition(&equal("7"), "Set", "1")));
    assert_eq!(question.body, number("7", "0"));
    let other = "<respcondition><conditionvar><other/></conditionvar></respcondition>";
    assert_eq!(
        one(&v1("essay_question", &fib("String"), other)).body,
        Body::Essay
    );
    assert_eq!(
        code(&v1("short_answer_question", &fib("String"), other)),
        "no_correct_answer"
    );
    assert_eq!(
        code(&v1(
            "numerical_question",
            &fib("Decimal"),
            &condition("<vargt>1</vargt>", "Set", "1")
        )),
        "unsupported_type"
    );
    let gap = fib("String") + "<material><mattext> ile.</mattext></material>";
    assert_eq!(one(&v1("", &gap, &texts)).text, "Soru?\n\n_____ ile.");
}

#[test]
fn version_1_items_that_are_not_supported() {
    let labels = |cardinality| labels(cardinality, &["a", "b"]);
    let score = condition(&equal("a"), "Set", "1");
    for kind in ["matching_question", "calculated_question", "text_only_question"] {
        assert_eq!(code(&v1(kind, &labels("Single"), &score)), "unsupported_type");
    }
    assert_eq!(code(&v1("", &labels("Ordered"), &score)), "unsupported_type");
    assert_eq!(
        code(&v1("", &(labels("Single") + &labels("Single")), &score)),
        "unsupported_type"
    );
    assert_eq!(code(&v1("", "", &score)), "unsupported_type");
    assert_eq!(code(&v1("", &labels("Single"), "")), "no_correct_answer");
}
