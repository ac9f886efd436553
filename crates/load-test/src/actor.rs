//! Writes the requests of the accounts that one connection acts for. No two connections share an account, so that sequences and
//! positions need no lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use crate::action::Action;
use crate::client::{Client, text};
use crate::prepare::PASSWORD;
use crate::school::{Account, School};
use crate::wire::address_of;

const SEARCHES: [&str; 4] = ["istanbul", "matematik", "fizik%205", "tarih"];
/// Single courses that are looked at while nothing else is.
const COURSES_LOOKED_AT: usize = 20;
const VIDEO_SECONDS: u64 = 9_900;
const HEARTBEAT_SECONDS: u64 = 15;

/// An open attempt: where each answer goes, with an option to choose.
#[derive(Debug, Clone)]
pub struct Attempt {
    id: String,
    questions: Vec<(String, String)>,
    /// Of the newest answer: higher than all that are stored.
    sequence: u64,
}

impl Attempt {
    /// Begins one, or takes the one that is open.
    pub async fn begin(client: &Client, school: &School, account: &Account) -> Result<Self> {
        let path = format!("/exams/{}/attempts", school.exam);
        let body = client
            .call("POST", &path, &account.access_token, json!({}))
            .await?;
        let members = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let questions: Result<Vec<_>> = members("questions")
            .iter()
            .map(|question| Ok((text(question, "id")?, text(&question["options"][0], "id")?)))
            .collect();
        let questions = questions?;
        ensure!(!questions.is_empty(), "an attempt without questions: {body}");
        let stored = members("answers");
        let newest = stored
            .iter()
            .filter_map(|answer| answer["sequence"].as_u64())
            .max();
        Ok(Self {
            id: text(&body, "id")?,
            questions,
            sequence: newest.unwrap_or_default(),
        })
    }
}

/// Acts for some accounts of each kind, in turn.
pub struct Actor {
    school: Arc<School>,
    learning: Vec<usize>,
    enrolling: Vec<usize>,
    attempts: Vec<Attempt>,
    turn: usize,
    random: Random,
    body: Vec<u8>,
}

impl Actor {
    pub fn new(
        school: Arc<School>,
        learning: Vec<usize>,
        enrolling: Vec<usize>,
        attempts: Vec<Attempt>,
    ) -> Self {
        let seed = learning
            .first()
            .or(enrolling.first())
            .copied()
            .unwrap_or_default();
        Self {
            school,
            learning,
            enrolling,
            attempts,
            turn: 0,
            random: Random(seed as u64),
            body: Vec::new(),
        }
    }

    pub fn chance(&mut self) -> u64 {
        self.random.next()
    }

    /// The requests that follow are those of the next account.
    pub fn next_turn(&mut self) {
        self.turn += 1;
    }

    /// Writes a request; false when there is nothing left to do, as when an account is in all courses.
    pub fn write(&mut self, action: Action, out: &mut Vec<u8>) -> bool {
        out.clear();
        self.body.clear();
        let learns = |actor: &Self| actor.learning[actor.turn % actor.learning.len()];
        match action {
            Action::CourseList => get(out, "/courses", ""),
            Action::Course => {
                let near = self.school.courses.len().min(COURSES_LOOKED_AT);
                let course = &self.school.courses[self.random.next() as usize % near];
                get(out, "/courses/", course);
            }
            Action::Search => {
                let q = SEARCHES[self.random.next() as usize % SEARCHES.len()];
                get(out, "/courses?q=", q);
            }
            Action::MyEnrollments => get(out, "/users/me/enrollments", ""),
            Action::MyProgress => get(out, "/users/me/progress", ""),
            Action::Heartbeat => {
                // Each account watches one video, from its start to its end and again.
                let (account, reports) = (learns(self), self.turn / self.learning.len().max(1));
                let video = &self.school.videos[account % self.school.videos.len()];
                begin(out, "POST /api/v1/videos/", &[video.as_str(), "/progress"]);
                let start = reports as u64 * HEARTBEAT_SECONDS % VIDEO_SECONDS;
                put(&mut self.body, "{\"position_seconds\":");
                put_number(&mut self.body, start + HEARTBEAT_SECONDS);
                put(&mut self.body, ",\"segments\":[{\"start_seconds\":");
                put_number(&mut self.body, start);
                put(&mut self.body, ",\"end_seconds\":");
                put_number(&mut self.body, start + HEARTBEAT_SECONDS);
                put(&mut self.body, "}]}");
            }
            Action::Answer => {
                let at = self.turn % self.attempts.len();
                let attempt = &mut self.attempts[at];
                attempt.sequence += 1;
                let (question, option) =
                    &attempt.questions[attempt.sequence as usize % attempt.questions.len()];
                begin(
                    out,
                    "PUT /api/v1/exam-attempts/",
                    &[attempt.id.as_str(), "/answers/", question.as_str()],
                );
                put(&mut self.body, "{\"sequence\":");
                put_number(&mut self.body, attempt.sequence);
                put(&mut self.body, ",\"option_ids\":[\"");
                put(&mut self.body, option);
                put(&mut self.body, "\"]}");
            }
            Action::Enrol => {
                let account = &self.school.enrolling[self.enrolling[self.turn % self.enrolling.len()]];
                let next = account.enrolled.load(Ordering::Relaxed);
                let Some(course) = self.school.courses.get(next) else {
                    return false;
                };
                account.enrolled.store(next + 1, Ordering::Relaxed);
                begin(out, "POST /api/v1/courses/", &[course.as_str(), "/enroll"]);
                put(out, "content-length: 0\r\n");
                authorize(out, account);
                put(out, "\r\n");
                return true;
            }
            Action::Login => {
                begin(out, "POST /api/v1/auth/login", &[]);
                let account = &self.school.learning[learns(self)];
                put(&mut self.body, "{\"email\":\"");
                put(&mut self.body, &account.email);
                put(&mut self.body, "\",\"password\":\"");
                put(&mut self.body, PASSWORD);
                put(&mut self.body, "\"}");
            }
        }
        if action != Action::Login {
            authorize(out, &self.school.learning[learns(self)]);
        }
        if !self.body.is_empty() {
            put(out, "content-type: application/json\r\ncontent-length: ");
            put_number(out, self.body.len() as u64);
            put(out, "\r\n");
        }
        put(out, "\r\n");
        out.extend_from_slice(&self.body);
        true
    }
}

fn get(out: &mut Vec<u8>, path: &str, rest: &str) {
    begin(out, "GET /api/v1", &[path, rest]);
}

fn begin(out: &mut Vec<u8>, method_and_path: &str, rest: &[&str]) {
    put(out, method_and_path);
    rest.iter().for_each(|part| put(out, part));
    put(out, " HTTP/1.1\r\nhost: sc\r\naccept: application/json\r\n");
}

fn authorize(out: &mut Vec<u8>, account: &Account) {
    put(out, "authorization: Bearer ");
    put(out, &account.access_token);
    put(out, "\r\n");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[from..]);
}

/// SplitMix64: the same choices in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The attempts of some accounts, begun now.
pub async fn begin_attempts(client: &Client, school: &School, accounts: &[usize]) -> Result<Vec<Attempt>> {
    stream::iter(accounts)
        .map(|at| {
            let client = client.from(address_of(*at));
            async move { Attempt::begin(&client, school, &school.learning[*at]).await }
        })
        .buffered(16)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
