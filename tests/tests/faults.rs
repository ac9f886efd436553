//! Parts that die: what was acknowledged stays, and what is left goes on.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dev_stack::servers::PrivateRedis;
use futures::future::join_all;
use journeys::api::{Api, text};
use journeys::people::{admin, course, enroll, exam, student, teacher};
use journeys::stack::StackOptions;
use journeys::{Process, Stack, repetitions};
use rand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use test_support::TestProxy;

fn ids(attempt: &Value) -> Vec<(String, Vec<String>)> {
    let questions = attempt["questions"].as_array().unwrap();
    questions
        .iter()
        .map(|question| {
            let options = question["options"].as_array().unwrap();
            let options = options
                .iter()
                .map(|option| text(option, "id").to_owned())
                .collect();
            (text(question, "id").to_owned(), options)
        })
        .collect()
}

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
    for (question, options) in ids(&attempt) {
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

/// One client that loses replies, repeats itself and reorders, and what it was told.
struct Client {
    api: Api,
    at: String,
    questions: Vec<(String, Vec<String>)>,
    /// The newest acknowledged sequence of each question, and its option.
    acknowledged: HashMap<String, (i64, String)>,
    sent: HashMap<(String, i64), String>,
    count: usize,
}

impl Client {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Self {
        let mut sequence = 0;
        while !stop.load(Ordering::SeqCst) {
            sequence += 1;
            let (question, option, twice, old) = {
                let mut random = rand::rng();
                let (question, options) = &self.questions[random.random_range(0..self.questions.len())];
                let option = options[random.random_range(0..options.len())].clone();
                (
                    question.clone(),
                    option,
                    random.random_bool(0.1),
                    random.random_bool(0.1),
                )
            };
            self.sent.insert((question.clone(), sequence), option.clone());
            let mut numbers = vec![sequence];
            if twice {
                numbers.push(sequence);
            }
            // One that was overtaken on its way.
            let before: Vec<i64> = self
                .sent
                .keys()
                .filter(|(q, n)| *q == question && *n < sequence)
                .map(|(_, n)| *n)
                .collect();
            if let (true, Some(first)) = (old, before.first()) {
                numbers.push(*first);
            }
            for number in numbers {
                let option = self.sent[&(question.clone(), number)].clone();
                let path = format!("{}/answers/{question}", self.at);
                let body = json!({"sequence": number, "option_ids": [option]});
                let Ok(answer) = self.api.try_send(Method::PUT, &path, Some(body), &[]).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                if answer.status != 200 || rand::rng().random_bool(0.05) {
                    // Refused while the process is away, or the reply was lost on its way.
                    continue;
                }
                self.count += 1;
                let stored = answer.body["sequence"].as_i64().unwrap();
                assert!(stored >= number, "an older answer than the one sent is stored");
                let known = self.acknowledged.entry(question.clone()).or_default();
                assert!(stored >= known.0, "{stored} after {} was acknowledged", known.0);
                *known = (stored, self.sent[&(question.clone(), stored)].clone());
            }
        }
        self
    }
}

/// Autosave by lossy clients while the exam process is killed again and again: of the acknowledged answers none is lost and none is
/// overwritten by an older one. `SC_EXAM_KILLS` says how often; the long run of the requirement is 60.
#[tokio::test(flavor = "multi_thread")]
async fn fault_acknowledged_answers_survive_the_death_of_the_process() {
    let kills = repetitions("SC_EXAM_KILLS", 3);
    let mut stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let course = text(&course(&deniz, "Course").await, "id").to_owned();
    let exam = exam(&deniz, &course, 5, json!({})).await;
    let mut clients = Vec::new();
    for number in 0..16 {
        let student = student(&stack, &format!("student{number}")).await;
        enroll(&student, &course).await;
        let attempt = student
            .api
            .post(
                &format!("/api/v1/exams/{}/attempts", text(&exam, "id")),
                json!({}),
            )
            .await
            .expect(201);
        clients.push(Client {
            api: student.api.clone(),
            at: format!("/api/v1/exam-attempts/{}", text(&attempt, "id")),
            questions: ids(&attempt),
            acknowledged: HashMap::new(),
            sent: HashMap::new(),
            count: 0,
        });
    }
    let stop = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(client.run(Arc::clone(&stop))))
        .collect();
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stack.kill(Process::Exam);
        stack.spawn(Process::Exam);
        stack.wait_ready(Process::Exam).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::SeqCst);
    let mut total = 0;
    for done in join_all(running).await {
        let client = done.unwrap();
        total += client.count;
        let attempt = client.api.get(&client.at).await.expect(200);
        let stored: HashMap<&str, &Value> = attempt["answers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| (text(answer, "question_id"), answer))
            .collect();
        for (question, (sequence, option)) in &client.acknowledged {
            let answer = stored[question.as_str()];
            let number = answer["sequence"].as_i64().unwrap();
            assert!(number >= *sequence, "{number} instead of {sequence}");
            let expected = &client.sent[&(question.clone(), number)];
            assert_eq!(answer["option_ids"][0], expected.as_str());
            assert!(number > *sequence || option == expected);
        }
    }
    assert!(total > 100, "only {total} answers were acknowledged");
    #[expect(clippy::print_stdout, reason = "what the run measured")]
    {
        println!("{total} acknowledged answers, {kills} kills, 0 lost, 0 overwritten");
    }
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
