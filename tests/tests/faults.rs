//! Parts that die: what was acknowledged stays, and what is left goes on.

use std::time::{Duration, Instant};

use dev_stack::servers::PrivateRedis;
use futures::future::join_all;
use journeys::api::text;
use journeys::class::questions;
use journeys::people::{admin, course, enroll, exam, student, teacher};
use journeys::stack::StackOptions;
use journeys::{Process, Stack, repetitions};
use rand::Rng;
use reqwest::Method;
use serde_json::json;
use test_support::TestProxy;

#[tokio::test(flavor = "multi_thread")]
async fn fault_an_exam_is_finished_while_everything_else_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let redis = PrivateRedis::start(folder.path()).unwrap();
    let broker = TestProxy::before(&Stack::servers().amqp, 5672).await;
    let options = StackOptions {
        redis: Some(redis.url()),
        amqp: Some(broker.url(&Stack::servers().amqp)),
        ..StackOptions::default()
    };
    let mut stack = Stack::start_with(options).await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    let course = text(&course(&deniz, "Course").await, "id").to_owned();
    enroll(&ada, &course).await;
    let exam = exam(&deniz, &course, 2, json!({})).await;
    let start = format!("/api/v1/exams/{}/attempts", text(&exam, "id"));
    let attempt = ada.api.post(&start, json!({})).await.expect(201);

    for process in [
        Process::Auth,
        Process::Catalog,
        Process::Enrollment,
        Process::Notification,
        Process::VideoProgress,
    ] {
        stack.kill(process);
    }
    broker.stop();
    redis.stop();
    let at = format!("/api/v1/exam-attempts/{}", text(&attempt, "id"));
    let began = Instant::now();
    for (question, options) in questions(&attempt) {
        let body = json!({"sequence": 1, "option_ids": [options[0]]});
        let path = format!("{at}/answers/{question}");
        ada.api
            .send(Method::PUT, &path, Some(body), &[])
            .await
            .expect(200);
    }
    let again = ada.api.post(&start, json!({})).await.expect(200);
    assert_eq!(again["id"], attempt["id"]);
    let result = ada.api.post(&format!("{at}/submit"), json!({})).await.expect(200);
    assert_eq!(result["score"], 4.0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // What happened is told when the others are back.
    broker.start();
    for process in [Process::Auth, Process::Notification] {
        stack.spawn(process);
        stack.wait_ready(process).await;
    }
    let inbox = "SELECT count(*) FROM notification.notifications WHERE kind = 'exam.attempt_graded'";
    stack
        .eventually(|| async {
            let count: i64 = sqlx::query_scalar(inbox)
                .fetch_one(&mut stack.superuser().await)
                .await
                .unwrap();
            (count == 1).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_without_the_broker_writes_go_on_and_events_come_later() {
    let broker = TestProxy::before(&Stack::servers().amqp, 5672).await;
    let options = StackOptions {
        amqp: Some(broker.url(&Stack::servers().amqp)),
        ..StackOptions::default()
    };
    let stack = Stack::start_with(options).await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    let mut courses = Vec::new();
    for number in 0..5 {
        courses.push(text(&course(&deniz, &format!("Course {number}")).await, "id").to_owned());
    }
    broker.stop();
    for id in &courses {
        enroll(&ada, id).await;
    }
    let mails = || stack.mailbox().find(&ada.email, "enrollment_created").len();
    assert_eq!(mails(), 0);
    broker.start();
    stack.eventually(|| async { (mails() >= 5).then_some(()) }).await;
    // One that hangs instead of being away.
    broker.freeze();
    let late = text(&course(&deniz, "Late").await, "id").to_owned();
    enroll(&ada, &late).await;
    broker.thaw();
    stack.eventually(|| async { (mails() >= 6).then_some(()) }).await;
    let mut database = stack.superuser().await;
    let told: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM notification.notifications WHERE kind = 'enrollment.created'",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert_eq!((told, mails()), (6, 6));
}

/// Clients that hang up in the middle of enrolling, on a pool of four connections.
#[tokio::test(flavor = "multi_thread")]
async fn fault_clients_that_hang_up_leave_no_transaction_behind() {
    let hang_ups = repetitions("SC_HANG_UPS", 1_000);
    let options = StackOptions {
        environment: vec![("SC_DATABASE__MAX_CONNECTIONS".to_owned(), "4".to_owned())],
        ..StackOptions::default()
    };
    let stack = Stack::start_with(options).await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let mut courses = Vec::new();
    for number in 0..20 {
        courses.push(text(&course(&deniz, &format!("Course {number}")).await, "id").to_owned());
    }
    let mut students = Vec::new();
    for number in 0..10 {
        students.push(student(&stack, &format!("student{number}")).await);
    }
    for chunk in (0..hang_ups).collect::<Vec<_>>().chunks(50) {
        let requests = chunk.iter().map(|number| {
            let (api, course) = (
                students[number % 10].api.clone(),
                courses[(number / 10) % 20].clone(),
            );
            let patience = Duration::from_micros(rand::rng().random_range(0..50_000));
            let verb = if number % 3 == 2 {
                Method::DELETE
            } else {
                Method::POST
            };
            tokio::spawn(async move {
                let path = format!("/api/v1/courses/{course}/enroll");
                let _ = tokio::time::timeout(patience, api.try_send(verb, &path, None, &[])).await;
            })
        });
        join_all(requests).await;
    }
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    stack
        .eventually(|| async {
            let count: i64 = sqlx::query_scalar(idle)
                .fetch_one(&mut stack.superuser().await)
                .await
                .unwrap();
            (count == 0).then_some(())
        })
        .await;
    // Every later 2xx is durable.
    let requests = students
        .iter()
        .flat_map(|student| courses.iter().map(move |course| (student, course)));
    let mut acknowledged = 0;
    for (student, course) in requests {
        let status = student
            .api
            .post(&format!("/api/v1/courses/{course}/enroll"), json!({}))
            .await
            .status;
        assert!([200, 201].contains(&status), "{status}");
        acknowledged += 1;
    }
    let active: i64 =
        sqlx::query_scalar("SELECT count(*) FROM enrollment.enrollments WHERE status = 'active'")
            .fetch_one(&mut stack.superuser().await)
            .await
            .unwrap();
    assert_eq!(active, acknowledged);
}
