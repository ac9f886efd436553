//! What an exam has to withstand, through the gateway and at the size that environment variables say; small by default, as large as
//! requirements name with `make proofs` (deploy/proofs.sh).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of a test, and what a run measured"
)]

#[path = "durability/lossy.rs"]
mod lossy;
#[path = "durability/receipt.rs"]
mod receipt;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use hdrhistogram::Histogram;
use journeys::api::{Api, text};
use journeys::class::{class, questions};
use journeys::people::{admin, course, exam, teacher};
use journeys::{Process, Stack, repetitions};
use rand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use lossy::{Lossy, Tally};
use receipt::receipt;

/// A running stack with students who may begin an exam.
async fn school(students: usize, questions: usize, rules: Value) -> (Stack, Vec<Api>, String) {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let course = text(&course(&deniz, "Course").await, "id").to_owned();
    let exam = exam(&deniz, &course, questions, rules).await;
    let students = class(&stack, &deniz, &course, students).await;
    let start = format!("/api/v1/exams/{}/attempts", text(&exam, "id"));
    (stack, students, start)
}

async fn count(stack: &Stack, sql: &'static str) -> usize {
    let count: i64 = sqlx::query_scalar(sql)
        .fetch_one(&mut stack.superuser().await)
        .await
        .unwrap();
    usize::try_from(count).unwrap()
}

/// All students begin within `SC_START_SECONDS` (10), each in two tabs at the same moment: an attempt each, and no tab is refused.
/// `SC_STARTS` says how many; the requirement is 2,000.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a_crowd_begins_an_exam_in_two_tabs_each() {
    let number = repetitions("SC_STARTS", 60);
    let window = Duration::from_secs(repetitions("SC_START_SECONDS", number.div_ceil(200)) as u64);
    let (stack, students, start) = school(number, 20, json!({"time_limit_seconds": 3_600})).await;
    let began = Instant::now();
    let step = window / u32::try_from(number).unwrap();
    let tabs = (0..number * 2).map(|tab| {
        let (api, start) = (students[tab / 2].clone(), start.clone());
        let due = began + step * u32::try_from(tab / 2).unwrap();
        tokio::spawn(async move {
            tokio::time::sleep_until(due).await;
            let answer = api.post(&start, json!({})).await;
            // From when it was due: a client that waits for its turn waits, too.
            (answer, due.elapsed())
        })
    });
    let answers = join_all(tabs).await;
    let took = began.elapsed();
    let mut latencies = Histogram::<u64>::new(3).unwrap();
    let mut new = 0;
    for pair in answers.chunks(2) {
        let tabs: Vec<&(journeys::Answer, Duration)> = pair.iter().map(|tab| tab.as_ref().unwrap()).collect();
        for (answer, latency) in &tabs {
            assert!([200, 201].contains(&answer.status), "{}", answer.body);
            latencies.record(latency.as_micros() as u64).unwrap();
            new += usize::from(answer.status == 201);
        }
        assert_eq!(
            tabs[0].0.body["id"], tabs[1].0.body["id"],
            "two tabs, two attempts"
        );
        assert_eq!(tabs[0].0.body["questions"], tabs[1].0.body["questions"]);
    }
    let attempts = count(&stack, "SELECT count(*) FROM exam.attempts").await;
    let students = count(&stack, "SELECT count(DISTINCT user_id) FROM exam.attempts").await;
    assert_eq!((attempts, students, new), (number, number, number));
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    println!(
        "{number} students, {} requests in {:.1} s: {attempts} attempts, 0 duplicates, 0 errors; p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        number * 2,
        took.as_secs_f64(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}

/// Autosave by lossy clients while the exam process is killed again and again: of what was acknowledged nothing is lost and nothing is
/// overwritten by something older. `SC_CLIENTS`, `SC_EXAM_KILLS`, `SC_KILL_SECONDS` between them, and `SC_ANSWERS` at least (the run goes
/// on, and killing with it, until there are as many); the requirement is 100,000.
#[tokio::test(flavor = "multi_thread")]
async fn fault_acknowledged_answers_survive_the_death_of_the_process() {
    let (clients, kills) = (repetitions("SC_CLIENTS", 16), repetitions("SC_EXAM_KILLS", 3));
    let (pause, enough) = (repetitions("SC_KILL_SECONDS", 2), repetitions("SC_ANSWERS", 100));
    let (mut stack, students, start) = school(clients, 10, json!({})).await;
    let tally = Arc::new(Tally::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for api in students {
        let attempt = api.post(&start, json!({})).await.expect(201);
        let client = Lossy::new(api, &attempt, Arc::clone(&tally));
        running.push(tokio::spawn(client.run(Arc::clone(&stop))));
    }
    let (began, mut killed) = (Instant::now(), 0);
    while killed < kills || Tally::count(&tally.acknowledged) < enough {
        let before = Tally::count(&tally.acknowledged);
        tokio::time::sleep(Duration::from_secs(pause as u64)).await;
        stack.kill(Process::Exam);
        stack.spawn(Process::Exam);
        stack.wait_ready(Process::Exam).await;
        killed += 1;
        let now = Tally::count(&tally.acknowledged);
        assert!(now > before, "nothing is taken any more after {killed} kills");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::SeqCst);
    let took = began.elapsed();
    let mut looked_at = 0;
    for done in join_all(running).await {
        let client = done.unwrap();
        looked_at += client.check(&client.api.get(&client.at).await.expect(200));
        // What is graded is what was stored.
        let result = client
            .api
            .post(&format!("{}/submit", client.at), json!({}))
            .await
            .expect(200);
        let handed_in = client.api.get(&client.at).await.expect(200);
        client.check(&handed_in);
        let answers = handed_in["answers"].as_array().unwrap();
        assert_eq!(text(&result, "receipt"), receipt(text(&handed_in, "id"), answers));
    }
    println!(
        "{} answers acknowledged to {clients} clients in {:.0} s, {killed} kills; {} hung up, {} reordered, {} refused meanwhile; 0 lost, 0 overwritten ({looked_at} questions)",
        Tally::count(&tally.acknowledged),
        took.as_secs_f64(),
        Tally::count(&tally.hung_up),
        Tally::count(&tally.reordered),
        Tally::count(&tally.refused),
    );
}

/// Saves and hand-ins of one attempt 0 to 5 ms apart, whichever comes first: each save is counted in the receipt or refused.
/// `SC_SUBMIT_RACES` says how many; the requirement is 10,000.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a_save_that_races_the_hand_in_is_in_the_receipt_or_refused() {
    let races = repetitions("SC_SUBMIT_RACES", 200);
    let (_stack, students, start) = school(20, 1, json!({"max_attempts": 0})).await;
    let each = races.div_ceil(students.len());
    let began = Instant::now();
    let outcomes: Vec<(usize, usize)> = stream::iter(students)
        .map(|api| {
            let start = start.clone();
            tokio::spawn(async move {
                let mut outcome = (0, 0);
                for _ in 0..each {
                    let is_counted = race(&api, &start).await;
                    outcome.0 += usize::from(is_counted);
                    outcome.1 += usize::from(!is_counted);
                }
                outcome
            })
        })
        .buffer_unordered(8)
        .map(Result::unwrap)
        .collect()
        .await;
    let counted: usize = outcomes.iter().map(|outcome| outcome.0).sum();
    let refused: usize = outcomes.iter().map(|outcome| outcome.1).sum();
    assert!(counted > 0 && refused > 0, "the race never went both ways");
    println!(
        "{} pairs in {:.0} s: {counted} saves are in their receipts, {refused} were refused, 0 neither",
        counted + refused,
        began.elapsed().as_secs_f64()
    );
}

/// Whether the save was in time.
async fn race(api: &Api, start: &str) -> bool {
    let attempt = api.post(start, json!({})).await.expect(201);
    let id = text(&attempt, "id");
    let at = format!("/api/v1/exam-attempts/{id}");
    let (question, options) = questions(&attempt).remove(0);
    let (first, second) = {
        let mut random = rand::rng();
        (random.random_range(0..5_000), random.random_range(0..5_000))
    };
    let answer = json!({"sequence": 7, "option_ids": [options[1]]});
    let save = async {
        tokio::time::sleep(Duration::from_micros(first)).await;
        let path = format!("{at}/answers/{question}");
        api.send(Method::PUT, &path, Some(answer.clone()), &[]).await
    };
    let submit = async {
        tokio::time::sleep(Duration::from_micros(second)).await;
        api.post(&format!("{at}/submit"), json!({})).await.expect(200)
    };
    let (saved, result) = tokio::join!(save, submit);
    let mut with = answer.clone();
    with["question_id"] = json!(question);
    let (answers, is_counted) = match saved.status {
        200 => (vec![with], true),
        409 => {
            assert_eq!(saved.code(), "attempt_closed");
            (Vec::new(), false)
        }
        other => panic!("{other}: {}", saved.body),
    };
    assert_eq!(text(&result, "receipt"), receipt(id, &answers));
    assert_eq!(result["answered"], i32::from(is_counted));
    is_counted
}
