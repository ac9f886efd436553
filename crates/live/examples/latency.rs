//! How long a notification takes from its commit to an open socket, on a running stack with demo data:
//!
//! `RATELIMIT_ENABLED=false make run PROFILE=release`, then `cargo run --release -p live --example latency -- http://127.0.0.1:8080 1000`
//!
//! A student enrols and drops again and again; each enrolment is a notification. Measured is from `created_at`, which notification reads
//! from its clock in the transaction, to the frame: a little more than from the commit. Both clocks are this machine's.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for people")]

use std::time::Duration;

use clock::Clock;
use futures::StreamExt;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const PATIENCE: Duration = Duration::from_secs(30);

struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    async fn sign_in(base: &str, email: &str) -> Self {
        let http = reqwest::Client::new();
        let body = json!({"email": email, "password": "demo-demo-demo"});
        let answer = http
            .post(format!("{base}/api/v1/auth/login"))
            .json(&body)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        Self {
            http,
            base: base.to_owned(),
            token: answer["access_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/api/v1{path}", self.base));
        let answer = request.bearer_auth(&self.token).json(body).send().await.unwrap();
        let answer = answer.error_for_status().unwrap();
        answer.json().await.unwrap()
    }

    async fn delete(&self, path: &str) {
        let request = self.http.delete(format!("{}/api/v1{path}", self.base));
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        answer.error_for_status().unwrap();
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8080".into());
    let count: usize = arguments.next().map_or(1_000, |count| count.parse().unwrap());
    let teacher = Api::sign_in(&base, "teacher@demo.test").await;
    let student = Api::sign_in(&base, "student@demo.test").await;
    let course = teacher.post("/courses", &json!({"title": "Latency"})).await;
    let course = format!("/courses/{}", course["id"].as_str().unwrap());
    teacher.post(&format!("{course}/publish"), &json!({})).await;

    let address = base.trim_start_matches("http://").to_owned();
    let mut request = format!("ws://{address}/api/v1/live")
        .into_client_request()
        .unwrap();
    let offered = format!("bearer, {}", student.token).parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", offered);
    let stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();

    let (clock, enroll) = (Clock::system(), format!("{course}/enroll"));
    let mut took = Vec::with_capacity(count);
    while took.len() < count {
        student.post(&enroll, &json!({})).await;
        let created_at = loop {
            let message = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["kind"] == "enrollment.created" {
                break OffsetDateTime::parse(frame["created_at"].as_str().unwrap(), &Rfc3339).unwrap();
            }
        };
        took.push((clock.now() - created_at).as_seconds_f64() * 1_000.0);
        student.delete(&enroll).await;
    }
    teacher.delete(&course).await;
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{count} notifications, commit to socket: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}
