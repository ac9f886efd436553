//! A learner's second evening: watch, sit an exam, read the result.

use journeys::Stack;
use journeys::api::text;
use journeys::people::{admin, course, enroll, exam, student, teacher};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn who_completes_a_course_keeps_its_content_and_may_go_on_to_the_next() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    let first = text(&course(&deniz, "Matematik I").await, "id").to_owned();
    let next = text(&course(&deniz, "Matematik II").await, "id").to_owned();
    let prerequisites = json!({"prerequisite_ids": [first]});
    let path = format!("/api/v1/courses/{next}");
    let changed = deniz.api.patch(&path, prerequisites).await.expect(200);
    assert_eq!(changed["prerequisite_ids"], json!([first]));
    let topics = format!("/api/v1/courses/{first}/topics");
    let topic = deniz.api.post(&topics, json!({"title": "Limit"})).await;
    let videos = format!("/api/v1/courses/{first}/videos");
    let video = json!({"youtube_id": "abcdefghijk", "title": "Limit", "duration_seconds": 10});
    let video = deniz.api.post(&videos, video).await;

    // Where a 201 points to, there it is; and a known answer is not sent again.
    for (made, list) in [(&topic, &topics), (&video, &videos)] {
        for path in [made.header("location").unwrap(), list] {
            let found = deniz.api.get(path).await;
            let tag = found.header("etag").unwrap().to_owned();
            found.expect(200);
            let known = [("if-none-match", tag.as_str())];
            let again = deniz.api.send(Method::GET, path, None, &known).await;
            assert_eq!(again.status, 304, "{path}");
        }
    }
    let at = video.header("location").unwrap().to_owned();
    for path in [&videos, &at] {
        let refused = ada.api.get(path).await;
        assert_eq!((refused.status, refused.code()), (403, "not_enrolled"), "{path}");
    }
    enroll(&ada, &first).await;
    let listed = ada.api.get(&videos).await.expect(200);
    assert_eq!(listed["videos"][0], ada.api.get(&at).await.expect(200));
    assert_eq!(
        (
            &listed["videos"][0]["youtube_id"],
            &listed["videos"][0]["youtube_status"]
        ),
        (&json!("abcdefghijk"), &json!(""))
    );

    let missing = ada.api.post(&format!("{path}/enroll"), json!({})).await;
    assert_eq!(missing.code(), "prerequisite_missing");
    ada.api.get(&format!("{at}/embed")).await.expect(200);
    let report = json!({"watched_seconds": 10, "total_seconds": 10});
    let whole = ada.api.post(&format!("{at}/progress"), report).await.expect(200);
    assert_eq!(whole["completed"], true);
    stack
        .eventually(|| async {
            let mine = ada.api.get("/api/v1/users/me/enrollments").await.expect(200);
            (mine["enrollments"][0]["status"] == "completed").then_some(())
        })
        .await;
    enroll(&ada, &next).await;
    for path in [&videos, &at, &format!("{at}/embed"), &format!("{at}/progress")] {
        ada.api.get(path).await.expect(200);
    }
    let again = ada
        .api
        .post(&format!("/api/v1/courses/{first}/enroll"), json!({}))
        .await;
    assert_eq!(again.expect(200)["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_watches_and_sits_an_exam() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    let course = text(&course(&deniz, "Matematik I").await, "id").to_owned();
    let video = json!({"youtube_id": "abcdefghijk", "title": "Limit", "duration_seconds": 10});
    let video = deniz
        .api
        .post(&format!("/api/v1/courses/{course}/videos"), video)
        .await
        .expect(201);
    let at = format!("/api/v1/videos/{}", text(&video, "id"));

    // Token, enrolment, content: in this order.
    assert_eq!(stack.api().get(&format!("{at}/embed")).await.status, 401);
    let refused = ada.api.get(&format!("{at}/embed")).await;
    assert_eq!((refused.status, refused.code()), (403, "not_enrolled"));
    enroll(&ada, &course).await;
    let embed = ada.api.get(&format!("{at}/embed")).await.expect(200);
    let expected = json!({
        "video_id": video["id"],
        "embed_url": "https://www.youtube.com/embed/abcdefghijk?rel=0&modestbranding=1",
        "can_access": true,
    });
    assert_eq!(embed, expected);

    let report = json!({"watched_seconds": 5, "total_seconds": 10});
    let half = ada.api.post(&format!("{at}/progress"), report).await.expect(200);
    assert_eq!(
        (
            &half["watched_seconds"],
            &half["watched_percent"],
            &half["completed"]
        ),
        (&json!(5), &json!(50.0), &json!(false))
    );
    let rest = json!({"segments": [{"start_seconds": 4, "end_seconds": 99}], "position_seconds": 10});
    let whole = ada.api.post(&format!("{at}/progress"), rest).await.expect(200);
    assert_eq!(
        (&whole["watched_seconds"], &whole["completed"]),
        (&json!(10), &json!(true))
    );
    let reversed = json!({"segments": [{"start_seconds": 9, "end_seconds": 4}]});
    assert_eq!(
        ada.api.post(&format!("{at}/progress"), reversed).await.status,
        422
    );
    let progress = ada
        .api
        .get(&format!("/api/v1/courses/{course}/progress"))
        .await
        .expect(200);
    assert_eq!(
        (&progress["percent"], &progress["videos_completed"]),
        (&json!(100.0), &json!(1))
    );
    let mine = ada.api.get("/api/v1/users/me/progress").await.expect(200);
    assert_eq!(mine["courses"][0]["course_title"], "Matematik I");
    let students = deniz
        .api
        .get(&format!("/api/v1/courses/{course}/progress/students"))
        .await
        .expect(200);
    assert_eq!(
        (
            &students["students"][0]["full_name"],
            &students["students"][0]["percent"]
        ),
        (&json!("ada"), &json!(100.0))
    );

    let exam = exam(
        &deniz,
        &course,
        3,
        json!({"time_limit_seconds": 600, "negative_marking": true, "shuffle_options": true}),
    )
    .await;
    let start = format!("/api/v1/exams/{}/attempts", text(&exam, "id"));
    let began = ada.api.post(&start, json!({})).await;
    assert!(
        began
            .header("location")
            .is_some_and(|l| l.starts_with("/api/v1/exam-attempts/"))
    );
    let attempt = began.expect(201);
    let again = ada.api.post(&start, json!({})).await.expect(200);
    assert_eq!(
        (&again["id"], &again["questions"]),
        (&attempt["id"], &attempt["questions"])
    );
    no_key(&attempt);
    let at = format!("/api/v1/exam-attempts/{}", text(&attempt, "id"));
    let questions = attempt["questions"].as_array().unwrap().clone();
    let option = |question: &Value, wanted: &str| {
        let options = question["options"].as_array().unwrap();
        options.iter().find(|o| o["text"] == wanted).unwrap()["id"].clone()
    };
    for (place, question) in questions.iter().enumerate() {
        let choice = if place == 2 { "wrong" } else { "right" };
        let path = format!("{at}/answers/{}", text(question, "id"));
        let body = json!({"sequence": 1, "option_ids": [option(question, choice)]});
        let saved = ada
            .api
            .send(Method::PUT, &path, Some(body), &[])
            .await
            .expect(200);
        assert_eq!(
            (&saved["question_id"], &saved["sequence"]),
            (&question["id"], &json!(1))
        );
    }
    let resumed = ada.api.get(&at).await.expect(200);
    assert_eq!(resumed["answers"].as_array().unwrap().len(), 3);
    no_key(&resumed);
    let open = ada.api.get(&format!("{at}/result")).await.expect(200);
    assert_eq!((&open["score"], &open["questions"]), (&Value::Null, &json!([])));
    assert_eq!(open["answered"], 3);

    let receipt = ada.api.post(&format!("{at}/submit"), json!({})).await.expect(200);
    assert_eq!(
        (
            &receipt["state"],
            &receipt["score"],
            &receipt["max_score"],
            &receipt["passed"]
        ),
        (&json!("graded"), &json!(3.5), &json!(6.0), &json!(true))
    );
    assert_eq!(text(&receipt, "receipt").len(), 64);
    let repeated = ada.api.post(&format!("{at}/submit"), json!({})).await.expect(200);
    assert_eq!(repeated["receipt"], receipt["receipt"]);
    let path = format!("{at}/answers/{}", text(&questions[0], "id"));
    let late = ada
        .api
        .send(Method::PUT, &path, Some(json!({"sequence": 9})), &[])
        .await;
    assert_eq!((late.status, late.code()), (409, "attempt_closed"));
    let exhausted = ada.api.post(&start, json!({})).await;
    assert_eq!((exhausted.status, exhausted.code()), (409, "attempts_exhausted"));

    let results = deniz
        .api
        .get(&format!("/api/v1/exams/{}/results", text(&exam, "id")))
        .await
        .expect(200);
    assert_eq!(
        (
            &results["results"][0]["full_name"],
            &results["results"][0]["score"]
        ),
        (&json!("ada"), &json!(3.5))
    );
    let own = ada.api.get("/api/v1/users/me/exam-results").await.expect(200);
    assert_eq!(own["results"][0]["full_name"], "ada");
    let file = deniz
        .api
        .get(&format!(
            "/api/v1/exams/{}/results/export?format=csv_tr",
            text(&exam, "id")
        ))
        .await;
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(
        file.header("content-disposition")
            .is_some_and(|name| name.contains(".csv"))
    );
    stack
        .eventually(|| async {
            let inbox = ada.api.get("/api/v1/users/me/notifications").await.expect(200);
            let kinds: Vec<_> = inbox["notifications"]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n["kind"].clone())
                .collect();
            (kinds.contains(&json!("exam.attempt_graded"))
                && kinds.contains(&json!("progress.course_completed")))
            .then_some(())
        })
        .await;
}

/// Nothing in it tells which option is right.
fn no_key(attempt: &Value) {
    let all = attempt.to_string();
    for word in ["correct", "weight", "feedback", "accepted", "credit"] {
        assert!(!all.contains(word), "{word} in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_imported_through_the_api() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let course = text(&course(&deniz, "Course").await, "id").to_owned();
    let import = format!("/api/v1/courses/{course}/questions/import");
    let bank = json!({"format": "gift", "content": "2 + 2 = ? { =4 ~5 }\n\nA { =a -> b =c -> d }\n", "tags": ["algebra"]});
    let tried = deniz
        .api
        .post(&format!("{import}?dry_run=true"), bank.clone())
        .await
        .expect(200);
    assert_eq!(
        (&tried["dry_run"], &tried["imported"], &tried["faults"][0]["line"]),
        (&json!(true), &json!(0), &json!(3))
    );
    let path = format!("{import}?dry_run=true");
    let turkish = [("accept-language", "tr")];
    let told = deniz
        .api
        .send(Method::POST, &path, Some(bank.clone()), &turkish)
        .await
        .expect(200);
    assert_eq!(told["faults"][0]["detail"], "eşleştirme sorusu desteklenmiyor");
    let mut partly = bank;
    partly["skip_faulty"] = json!(true);
    let done = deniz.api.post(&import, partly).await.expect(200);
    assert_eq!(done["imported"], 1);
    let listed = deniz
        .api
        .get(&format!("/api/v1/courses/{course}/questions?tag=algebra"))
        .await
        .expect(200);
    assert_eq!(listed["questions"][0]["options"].as_array().unwrap().len(), 2);
    for (body, status) in [
        (json!({"format": "docx", "content": ""}), 422),
        (json!({"format": "qti", "content_base64": "###"}), 422),
        (json!({"format": "gift", "content": "a\u{0}b"}), 422),
        (
            json!({"format": "qti", "content": "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><x>&a;</x>"}),
            200,
        ),
    ] {
        assert_eq!(
            deniz.api.post(&import, body.clone()).await.status,
            status,
            "{body}"
        );
    }
    // The file itself, raw or in a form; its format is seen.
    let xml = "<quiz><question type=\"truefalse\"><questiontext><text>T</text></questiontext>\
               <answer fraction=\"100\"><text>true</text></answer>\
               <answer fraction=\"0\"><text>false</text></answer></question></quiz>";
    let form = format!(
        "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bank.xml\"\r\n\r\n{xml}\r\n--cut--\r\n"
    );
    for (content_type, file) in [
        ("text/plain", "What?\nA) a\nB) b\nANSWER: B\n"),
        ("application/octet-stream", "2 + 2 = ? { =4 ~5 }"),
        ("text/xml", xml),
        ("multipart/form-data; boundary=cut", &form),
    ] {
        let path = format!("{import}?dry_run=true");
        let tried = deniz.api.post_file(&path, content_type, file).await.expect(200);
        assert_eq!(
            (&tried["dry_run"], &tried["imported"]),
            (&json!(true), &json!(1)),
            "{tried}"
        );
    }
    let file = deniz
        .api
        .get(&format!("/api/v1/courses/{course}/questions/export"))
        .await;
    assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
}
