//! Messages that are arrays in JSON: an empty one is not the same as none.

use contracts::catalog::v1::rpc::UpdateCourse;
use contracts::exam::v1::rpc::{UpdateExam, UpdateQuestion};
use contracts::exam::v1::{Draw, DrawList, UpdateExamRequest};
use contracts::{Rest, RestInput};
use problem::Problem;

fn bind<R: Rest>(body: &str) -> Result<R::Request, Problem> {
    R::bind(RestInput {
        path: &[("id", "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10")],
        query: None,
        body: body.as_bytes(),
        is_file: false,
    })
}

#[test]
fn an_empty_list_is_told_from_none() {
    let draw = |body| bind::<UpdateExam>(body).unwrap().draw;
    assert_eq!(draw("{}"), None);
    assert_eq!(draw(r#"{"draw": null}"#), None);
    assert_eq!(draw(r#"{"draw": []}"#), Some(DrawList { items: Vec::new() }));
    let one = Draw {
        tag: "geo".into(),
        count: 2,
    };
    let list = DrawList { items: vec![one] };
    assert_eq!(
        draw(r#"{"draw": [{"tag": "geo", "count": 2}]}"#),
        Some(list.clone())
    );
    let request = UpdateExamRequest {
        draw: Some(list),
        ..UpdateExamRequest::default()
    };
    let json = serde_json::to_value(request).unwrap();
    assert_eq!(json["draw"], serde_json::json!([{"tag": "geo", "count": 2}]));
    let tags = bind::<UpdateQuestion>(r#"{"tags": []}"#).unwrap().tags;
    assert_eq!(tags.map(|tags| tags.items.len()), Some(0));
    let needed = bind::<UpdateCourse>(r#"{"prerequisite_ids": []}"#).unwrap();
    assert_eq!(needed.prerequisite_ids.map(|all| all.items.len()), Some(0));
}

#[test]
fn faults_in_it_are_named_as_those_of_an_array() {
    let field = |body: &str| bind::<UpdateExam>(body).unwrap_err().fields()[0].field.clone();
    assert_eq!(field(r#"{"draw": [{"tag": "", "count": 2}]}"#), "draw[0].tag");
    let many = vec![serde_json::json!({"tag": "geo", "count": 2}); 51];
    assert_eq!(field(&serde_json::json!({ "draw": many }).to_string()), "draw");
    assert!(bind::<UpdateExam>(r#"{"draw": {"items": []}}"#).is_err());
    let fault = bind::<UpdateCourse>(r#"{"prerequisite_ids": ["nonsense"]}"#).unwrap_err();
    assert_eq!(fault.fields()[0].field, "prerequisite_ids[0]");
}
