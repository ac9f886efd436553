//! All students begin an exam within some seconds, two tabs each. Open loop: a latency counts from when the request was due, whatever
//! the ones before it took.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::client::{Client, text};
use crate::prepare::{Staff, Wanted, prepare};
use crate::recorder::{Latencies, histogram, record};
use crate::wire::address_of;

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long, default_value_t = 200)]
    students: usize,
    /// Over which time they begin.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[expect(clippy::print_stdout, reason = "a command's report")]
pub async fn run(client: &Client, folder: &Path, staff: &Staff, arguments: &Arguments) -> Result<()> {
    let wanted = Wanted {
        learning: arguments.students,
        enrolling: 0,
        courses: 1,
        places: 0,
        seconds: 300,
    };
    let school = Arc::new(prepare(client, folder, staff, wanted).await?);
    // An attempt of an earlier run would be answered again.
    for account in school.learning.iter().take(arguments.students) {
        let path = format!("/exams/{}/attempts", school.exam);
        let mine = client
            .call("GET", &path, &account.access_token, Value::Null)
            .await?;
        for attempt in mine["attempts"].as_array().into_iter().flatten() {
            if attempt["state"] == "open" {
                let path = format!("/exam-attempts/{}/submit", text(attempt, "id")?);
                client
                    .call("POST", &path, &account.access_token, json!({}))
                    .await?;
            }
        }
    }
    let pace = Duration::from_secs(arguments.seconds).div_f64(arguments.students.max(1) as f64);
    let began = Instant::now();
    let tabs = (0..arguments.students).flat_map(|student| {
        let due = began + pace.mul_f64(student as f64);
        let school = &school;
        (0..2).map(move |_| async move {
            let client = client.from(address_of(student));
            let path = format!("/exams/{}/attempts", school.exam);
            sleep_until(due).await;
            let token = &school.learning[student].access_token;
            let answer = client.send("POST", &path, token, Some(&json!({}))).await;
            (student, due.elapsed(), answer)
        })
    });
    let (mut latencies, mut failed) = (histogram()?, 0);
    let mut attempts = HashSet::new();
    for (student, latency, answer) in join_all(tabs).await {
        record(&mut latencies, latency);
        match answer {
            Ok((200 | 201, body)) => {
                attempts.insert((student, text(&serde_json::from_slice(&body)?, "id")?));
            }
            _ => failed += 1,
        }
    }
    let students: HashSet<usize> = attempts.iter().map(|(student, _)| *student).collect();
    let ms = Latencies::of(&latencies);
    println!(
        "{} students began in {} s, two tabs each: {} attempts, {} duplicates, {failed} failed; ms: p50 {:.1}, p95 {:.1}, p99 {:.1}, max {:.1}",
        arguments.students,
        arguments.seconds,
        students.len(),
        attempts.len() - students.len(),
        ms.p50,
        ms.p95,
        ms.p99,
        ms.max
    );
    Ok(())
}
