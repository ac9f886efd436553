//! What the load is made of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use hdrhistogram::Histogram;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::client::{Client, text};
use crate::prepare::Exam;

pub struct Outcome {
    pub name: &'static str,
    /// Microseconds.
    pub latencies: Histogram<u64>,
    pub errors: u64,
    pub seconds: f64,
}

/// An open attempt: its student, its id, its questions with an option each.
#[derive(Clone)]
pub struct Attempt {
    pub student: usize,
    pub id: String,
    pub questions: Vec<(String, String)>,
}

pub struct Begun {
    pub outcome: Outcome,
    pub attempts: Vec<Attempt>,
    pub duplicates: usize,
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// All students begin within that many seconds, two tabs each. Open loop: a latency counts from when the request was due, whatever
/// the ones before it took.
pub async fn begin_exam(client: &Client, exam: &Exam, seconds: u64) -> Result<Begun> {
    let path = format!("/exams/{}/attempts", exam.exam);
    let began = Instant::now();
    let pace = Duration::from_secs(seconds) / u32::try_from(exam.students.len().max(1)).unwrap_or(u32::MAX);
    let tabs = exam.students.iter().enumerate().flat_map(|(number, student)| {
        let due = began + pace * u32::try_from(number).unwrap_or(u32::MAX);
        let path = &path;
        (0..2).map(move |_| async move {
            sleep_until(due).await;
            let answer = client
                .send(Method::POST, path, &student.token, Some(&json!({})))
                .await;
            (number, due.elapsed(), answer)
        })
    });
    let (mut latencies, mut errors) = (histogram()?, 0);
    let mut found: HashMap<usize, HashSet<String>> = HashMap::new();
    let mut attempts = Vec::new();
    for (student, latency, answer) in join_all(tabs).await {
        latencies.record(latency.as_micros() as u64)?;
        match answer {
            Ok((200 | 201, body)) => {
                let body: Value = serde_json::from_slice(&body)?;
                let id = text(&body, "id")?;
                let known = found.entry(student).or_default();
                if known.is_empty() {
                    attempts.push(attempt(student, &id, &body)?);
                }
                known.insert(id);
            }
            _ => errors += 1,
        }
    }
    Ok(Begun {
        outcome: Outcome {
            name: "begin an exam, 2 tabs",
            latencies,
            errors,
            seconds: began.elapsed().as_secs_f64(),
        },
        duplicates: found.values().map(|ids| ids.len() - 1).sum(),
        attempts,
    })
}

fn attempt(student: usize, id: &str, body: &Value) -> Result<Attempt> {
    let questions: Result<Vec<_>> = body["questions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|question| Ok((text(question, "id")?, text(&question["options"][0], "id")?)))
        .collect();
    Ok(Attempt {
        student,
        id: id.to_owned(),
        questions: questions?,
    })
}

#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    CourseList,
    Course,
    Progress,
    Answer,
    MyProgress,
}

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::CourseList,
    Endpoint::Course,
    Endpoint::Progress,
    Endpoint::Answer,
    Endpoint::MyProgress,
];

impl Endpoint {
    fn name(self) -> &'static str {
        match self {
            Self::CourseList => "course list",
            Self::Course => "course",
            Self::Progress => "video heartbeat",
            Self::Answer => "save an answer",
            Self::MyProgress => "my progress",
        }
    }

    /// The n-th request: method, path, token, body.
    fn request<'a>(
        self,
        exam: &'a Exam,
        attempts: &[Attempt],
        n: u64,
    ) -> (Method, String, &'a str, Option<Value>) {
        let turn = usize::try_from(n).unwrap_or_default();
        let token = exam.students[turn % exam.students.len()].token.as_str();
        match self {
            Self::CourseList => (Method::GET, "/courses".into(), token, None),
            Self::Course => (Method::GET, format!("/courses/{}", exam.course), token, None),
            Self::MyProgress => (Method::GET, "/users/me/progress".into(), token, None),
            Self::Progress => {
                let start = (n * 7) % 3_000;
                let body = json!({"position_seconds": start + 15, "segments": [{"start_seconds": start, "end_seconds": start + 15}]});
                (
                    Method::POST,
                    format!("/videos/{}/progress", exam.video),
                    token,
                    Some(body),
                )
            }
            Self::Answer => {
                let attempt = &attempts[turn % attempts.len()];
                let (question, option) =
                    &attempt.questions[(turn / attempts.len()) % attempt.questions.len()];
                let body = json!({"sequence": n, "option_ids": [option]});
                let path = format!("/exam-attempts/{}/answers/{question}", attempt.id);
                (
                    Method::PUT,
                    path,
                    exam.students[attempt.student].token.as_str(),
                    Some(body),
                )
            }
        }
    }
}

/// Closed loop: so many clients, each with its next request as soon as it has its answer.
pub async fn saturate(
    client: &Client,
    exam: &Exam,
    attempts: &[Attempt],
    endpoint: Endpoint,
    connections: usize,
    seconds: u64,
) -> Result<Outcome> {
    let (next, stop) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let began = Instant::now();
    let clients = (0..connections).map(|_| {
        let (next, stop) = (Arc::clone(&next), Arc::clone(&stop));
        async move {
            let (mut latencies, mut errors) = (histogram()?, 0);
            while !stop.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let (method, path, token, body) = endpoint.request(exam, attempts, n);
                let sent = Instant::now();
                let answer = client.send(method, &path, token, body.as_ref()).await;
                latencies.record(sent.elapsed().as_micros() as u64)?;
                errors += u64::from(!matches!(answer, Ok((200, _))));
            }
            Ok::<_, anyhow::Error>((latencies, errors))
        }
    });
    let timer = async {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (all, ()) = tokio::join!(join_all(clients), timer);
    let (mut latencies, mut errors) = (histogram()?, 0);
    for one in all {
        let (part, failed) = one?;
        latencies.add(part)?;
        errors += failed;
    }
    Ok(Outcome {
        name: endpoint.name(),
        latencies,
        errors,
        seconds: began.elapsed().as_secs_f64(),
    })
}
