//! What happened in a course, as its staff reads it: the log, the figures of the day, and a report as a file.

use journeys::Stack;
use journeys::api::text;
use journeys::people::{Person, admin, course, enroll, exam, student, teacher};
use serde_json::{Value, json};

/// Waits until a course's log has a line of that kind.
async fn logged(stack: &Stack, who: &Person, course: &str, kind: &str) -> Value {
    let path = format!("/api/v1/courses/{course}/activity?kind={kind}");
    stack
        .eventually(|| async {
            let found = who.api.get(&path).await.expect(200);
            let first = found["activities"].as_array()?.first()?.clone();
            Some(first)
        })
        .await
}

/// Waits until a report is made; where its file is.
async fn made(stack: &Stack, who: &Person, begun: &Value) -> String {
    let path = format!("/api/v1/operations/{}", text(begun, "id"));
    let over = stack
        .eventually(|| async {
            let found = who.api.get(&path).await.expect(200);
            (found["state"] != "running").then_some(found)
        })
        .await;
    assert_eq!(
        (over["state"].as_str(), &over["done"]),
        (Some("succeeded"), &over["total"])
    );
    text(&over, "result_path").to_owned()
}

#[expect(clippy::unwrap_used, reason = "a test that fails, fails")]
async fn download(who: &Person, path: &str) -> (String, Vec<u8>) {
    let request = reqwest::Client::new()
        .get(format!("{}{path}", who.api.base()))
        .bearer_auth(who.api.token().unwrap());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_read_what_happened_and_take_it_home_as_a_file() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let ece = teacher(&stack, &boss, "ece").await;
    let ada = student(&stack, "ada").await;
    let course = text(&course(&deniz, "Matematik I").await, "id").to_owned();
    enroll(&ada, &course).await;
    let quiz = exam(&deniz, &course, 2, json!({"title": "@Quiz"})).await;
    let attempts = format!("/api/v1/exams/{}/attempts", text(&quiz, "id"));
    let attempt = ada.api.post(&attempts, json!({})).await.expect(201);
    let submit = format!("/api/v1/exam-attempts/{}/submit", text(&attempt, "id"));
    ada.api.post(&submit, json!({})).await.expect(200);

    let line = logged(&stack, &deniz, &course, "exam.attempt_graded").await;
    assert_eq!(
        (text(&line, "user_id"), text(&line, "subject_id")),
        (ada.id.as_str(), text(&attempt, "id"))
    );
    let line = logged(&stack, &deniz, &course, "enrollment.created").await;
    assert_eq!(text(&line, "user_id"), ada.id);
    let log = format!(
        "/api/v1/activity-log?user_id={}&course_id={course}&page_size=1",
        ada.id
    );
    let page = boss.api.get(&log).await.expect(200);
    assert_eq!(page["activities"].as_array().map(Vec::len), Some(1));
    let next = format!("{log}&page_token={}", text(&page, "next_page_token"));
    assert_ne!(
        boss.api.get(&next).await.expect(200)["activities"],
        page["activities"]
    );
    assert_eq!(
        boss.api.get("/api/v1/activity-log?from=yesterday").await.status,
        422
    );
    let own = ada.api.get("/api/v1/users/me/activity").await.expect(200);
    let kinds: Vec<&str> = own["activities"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| text(one, "kind"))
        .collect();
    assert!(
        kinds.contains(&"user.registered") && !kinds.contains(&"exam.attempt_graded"),
        "{kinds:?}"
    );

    // Of today, so far.
    let stats = deniz
        .api
        .get(&format!("/api/v1/courses/{course}/stats"))
        .await
        .expect(200);
    let today = &stats["days"][0];
    assert_eq!(
        (&today["enrollments"], &today["attempts_graded"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(today["is_over"], false);
    let daily = format!("/api/v1/stats/daily?date={}", text(today, "date"));
    let school = boss.api.get(&daily).await.expect(200);
    assert!(school["registrations"].as_i64() >= Some(3), "{school}");

    let reports = format!("/api/v1/courses/{course}/reports");
    assert_eq!(
        deniz.api.post(&reports, json!({"kind": "gossip"})).await.status,
        422
    );
    let begun = deniz.api.post(&reports, json!({"kind": "results"})).await;
    let location = begun.header("location").map(str::to_owned);
    let begun = begun.expect(202);
    assert_eq!(
        location,
        Some(format!("/api/v1/operations/{}", text(&begun, "id")))
    );
    let result = made(&stack, &deniz, &begun).await;
    let (kind, content) = download(&deniz, &result).await;
    assert_eq!(kind, "text/csv; charset=utf-8");
    let content = String::from_utf8_lossy(&content);
    let row = content.lines().nth(1).unwrap_or_default();
    assert!(
        row.starts_with(&format!("{},ada,\"'@Quiz\",{},", ada.id, text(&attempt, "id"))),
        "{content}"
    );
    assert!(row.contains(",student,0,"), "{content}");
    // Nobody else's, not even an admin's.
    for other in [&ece, &ada, &boss] {
        for path in [
            format!("/api/v1/operations/{}", text(&begun, "id")),
            result.clone(),
        ] {
            assert_eq!(other.api.get(&path).await.status, 404);
        }
    }
}

/// A file of many parts comes through the gateway whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_report_is_sent_part_by_part() {
    const LINES: usize = 90_000;
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let course = text(&course(&deniz, "Course").await, "id").to_owned();
    logged(&stack, &deniz, &course, "course.changed").await;
    let mut db = stack.superuser().await;
    sqlx::query(
        "INSERT INTO reporting.activity (id, at, kind, course_id, subject_id, version, details)
         SELECT gen_random_uuid(), now() - make_interval(secs => n), 'video.changed', $1::uuid, gen_random_uuid(), 1, '{\"title\": \"Video\"}'
         FROM generate_series(1, $2::int) AS n",
    )
    .bind(&course)
    .bind(i32::try_from(LINES).unwrap())
    .execute(&mut db)
    .await
    .unwrap();
    let reports = format!("/api/v1/courses/{course}/reports");
    let begun = json!({"kind": "activity", "format": "csv"});
    let begun = deniz.api.post(&reports, begun).await.expect(202);
    let result = made(&stack, &deniz, &begun).await;
    let (_, content) = download(&deniz, &result).await;
    assert!(content.len() > 2 * (4 << 20), "{} bytes", content.len());
    let lines = content.split(|byte| *byte == b'\n').count();
    // Beside a head and what ends the last line: events of the course itself, of which some may have come since.
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM reporting.activity WHERE course_id = $1::uuid")
        .bind(&course)
        .fetch_one(&mut db)
        .await
        .unwrap();
    let most = usize::try_from(kept).unwrap() + 2;
    assert!((LINES + 3..=most).contains(&lines), "{lines}, {most} at most");
    // From its second part on.
    let (_, rest) = download(&deniz, &format!("{result}?part=1")).await;
    assert!(content[4 << 20..] == rest[..]);
}
