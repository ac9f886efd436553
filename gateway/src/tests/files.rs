//! Bodies that are files: raw, in a form, or as a member of JSON.

use contracts::exam::v1::rpc::ImportQuestions;
use serde_json::json;

use super::backend::FOUND;
use super::edge::{Answer, Edge};

const MAX: usize = 10 << 20;
const FORM: &str = "multipart/form-data; boundary=cut";

struct Importer {
    edge: Edge,
    token: String,
}

impl Importer {
    async fn start() -> Self {
        let edge = Edge::start().await;
        let token = edge.token(&["exams:manage"]);
        Self { edge, token }
    }

    async fn send(&self, query: &str, content_type: &str, body: &[u8]) -> Answer {
        let path = format!("/api/v1/courses/{FOUND}/questions/import{query}");
        let headers = [
            ("authorization", self.token.as_str()),
            ("content-type", content_type),
        ];
        self.edge.send("POST", &path, &headers, body).await
    }
}

fn part(disposition: &str, content: &str) -> String {
    format!("--cut\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

fn form(parts: &[String]) -> Vec<u8> {
    format!("{}--cut--\r\n", parts.concat()).into_bytes()
}

#[track_caller]
fn check(answer: &Answer, asked: [&str; 3], dry_run: bool) {
    let [text, base64, format] = asked;
    let answer = answer.json();
    assert_eq!(
        (&answer["question_ids"], &answer["dry_run"]),
        (&json!([FOUND, text, base64, format]), &json!(dry_run)),
        "{answer}"
    );
}

#[tokio::test]
async fn a_file_is_the_body_as_it_is() {
    let importer = Importer::start().await;
    for content_type in contracts::FILE_TYPES {
        let sent = importer.send("", content_type, b"T {T}").await;
        check(&sent, ["", "VCB7VH0=", ""], false);
    }
    // Not UTF-8, and JSON only by its looks.
    let sent = importer
        .send(
            "?dry_run=true&format=aiken",
            "Text/CSV; charset=windows-1254",
            b"{\xfe\0}",
        )
        .await;
    check(&sent, ["", "e/4AfQ==", "aiken"], true);
    let sent = importer
        .send("?dry_run=true", "application/json", br#"{"content":"T {T}"}"#)
        .await;
    check(&sent, ["T {T}", "", ""], true);
}

#[tokio::test]
async fn a_form_has_one_file_and_its_fields_are_parameters() {
    let importer = Importer::start().await;
    let file = part("name=\"file\"; filename=\"bank.xml\"", "T {T}");
    let sent = importer
        .send(
            "?format=gift",
            FORM,
            &form(&[part("name=\"dry_run\"", "true"), file.clone()]),
        )
        .await;
    check(&sent, ["", "VCB7VH0=", "gift"], true);
    let unnamed = part("name=\"bank\"; filename=\"bank.xml\"", "T {T}");
    check(
        &importer.send("", FORM, &form(&[unnamed])).await,
        ["", "VCB7VH0=", ""],
        false,
    );

    let many = vec![part("name=\"dry_run\"", "true"); 17];
    for (query, body, code) in [
        ("", form(&[file.clone(), file.clone()]), "malformed_request"),
        ("", form(&[part("name=\"dry_run\"", "true")]), "malformed_request"),
        ("", form(&[many.concat(), file.clone()]), "malformed_request"),
        (
            "",
            form(&[part("name=\"format\"", &"x".repeat(2_000)), file.clone()]),
            "malformed_request",
        ),
        (
            "",
            form(&[part("name=\"a&dry_run\"", "true"), file.clone()]),
            "unknown_parameter",
        ),
        (
            "?dry_run=true",
            form(&[part("name=\"dry_run\"", "true"), file.clone()]),
            "malformed_request",
        ),
        ("", file.into_bytes(), "malformed_request"),
        ("", b"nonsense".to_vec(), "malformed_request"),
    ] {
        let answer = importer.send(query, FORM, &body).await;
        answer.check_problem(400, code);
    }
    importer
        .send("", "multipart/form-data", b"--cut")
        .await
        .check_problem(400, "malformed_request");
    assert_eq!(importer.edge.seen.calls::<ImportQuestions>().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_ten_mebibytes_however_it_is_sent() {
    let importer = Importer::start().await;
    let in_base64 = i32::try_from(MAX.div_ceil(3) * 4).unwrap();
    let in_form = |bytes| form(&[part("name=\"file\"; filename=\"a\"", &"x".repeat(bytes))]);
    let in_json = |bytes: usize| {
        json!({"content_base64": "eHh4".repeat(bytes.div_ceil(3))})
            .to_string()
            .into_bytes()
    };
    for (content_type, largest, too_large) in [
        ("text/csv", vec![b'x'; MAX], vec![b'x'; MAX + 1]),
        (FORM, in_form(MAX), in_form(MAX + 1)),
        ("application/json", in_json(MAX), in_json(MAX + (64 << 10))),
    ] {
        let answer = importer.send("", content_type, &largest).await;
        assert_eq!(answer.json()["found"], in_base64, "{content_type}");
        importer
            .send("", content_type, &too_large)
            .await
            .check_problem(413, "payload_too_large");
    }
}

#[tokio::test]
async fn other_bodies_are_not_taken_for_files() {
    let importer = Importer::start().await;
    for content_type in ["application/x-www-form-urlencoded", "image/png", "text/csv2", ""] {
        importer
            .send("", content_type, b"T {T}")
            .await
            .check_problem(415, "unsupported_media_type");
    }
    let token = importer.edge.token(&["courses:write"]);
    for content_type in ["text/csv", FORM] {
        let headers = [("authorization", token.as_str()), ("content-type", content_type)];
        importer
            .edge
            .send("POST", "/api/v1/courses", &headers, b"title")
            .await
            .check_problem(415, "unsupported_media_type");
    }
}
