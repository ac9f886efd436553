//! KVKK and GDPR: everything that is held of a person comes out, and none of it stays.

use journeys::Stack;
use journeys::api::text;
use journeys::people::{admin, course, enroll, exam, student, teacher};
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_a_person_comes_out_and_nothing_stays() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let history = course(&deniz, "History").await;
    let course = text(&history, "id").to_owned();
    let ada = student(&stack, "ada").await;
    enroll(&ada, &course).await;
    let quiz = exam(&deniz, &course, 2, json!({"title": "Quiz"})).await;
    let path = format!("/api/v1/exams/{}/attempts", text(&quiz, "id"));
    let attempt = ada.api.post(&path, json!({})).await.expect(201);
    stack
        .eventually(|| async {
            let inbox = ada.api.get("/api/v1/users/me/notifications").await.expect(200);
            (!inbox["notifications"].as_array().unwrap().is_empty()).then_some(())
        })
        .await;

    let begun = ada.api.get("/api/v1/users/me/export").await.expect(202);
    let path = format!("/api/v1/operations/{}", text(&begun, "id"));
    stack
        .eventually(|| async { (ada.api.get(&path).await.expect(200)["state"] == "succeeded").then_some(()) })
        .await;
    assert_eq!(
        boss.api.get(&path).await.status,
        404,
        "an export is its owner's alone"
    );
    let export = ada.api.get(&format!("{path}/result")).await.expect(200);
    let services = &export["services"];
    assert_eq!(services["auth"]["account"][0]["email"], ada.email.as_str());
    assert_eq!(
        services["enrollment"]["enrollments"][0]["course_id"],
        course.as_str()
    );
    assert_eq!(services["exam"]["attempts"][0]["id"], attempt["id"]);
    assert!(
        !services["notification"]["notifications"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(
        !export.to_string().contains("\"correct\""),
        "no key of a question"
    );

    let erasing = ada
        .api
        .send(Method::DELETE, "/api/v1/users/me", None, &[])
        .await
        .expect(202);
    let path = format!("/api/v1/operations/{}", text(&erasing, "id"));
    assert_eq!(ada.api.get("/api/v1/users/me").await.status, 401);
    stack
        .eventually(|| async {
            (boss.api.get(&path).await.expect(200)["state"] == "succeeded").then_some(())
        })
        .await;
    // Events of before are published by now; what relays keep of them goes too.
    stack
        .eventually(|| async { found_in(&stack, &ada.email).await.is_empty().then_some(()) })
        .await;
}

/// Every table of every schema in which the text stands.
#[expect(clippy::unwrap_used, reason = "a test that fails, fails")]
async fn found_in(stack: &Stack, needle: &str) -> Vec<String> {
    let mut db = stack.superuser().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(tables.len() > 40, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        // Bytes too: payloads of events, bodies of answers.
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {table} t WHERE t::text ILIKE $1 OR t::text LIKE $2 || encode($3, 'hex') || $2)"
        );
        let exists: bool = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(format!("%{needle}%"))
            .bind("%")
            .bind(needle.as_bytes())
            .fetch_one(&mut db)
            .await
            .unwrap();
        if exists {
            found.push(table);
        }
    }
    found
}
