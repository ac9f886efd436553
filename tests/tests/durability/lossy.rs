//! A student's browser on a bad line, and everything that it was told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use journeys::api::{Api, text};
use rand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

/// What all clients of a run did, for its report.
#[derive(Debug, Default)]
pub struct Tally {
    pub acknowledged: AtomicUsize,
    /// Hung up before the reply, which may have been on its way.
    pub hung_up: AtomicUsize,
    /// Refused, or without a connection, while the process was away.
    pub refused: AtomicUsize,
    /// Overtaken ones that were sent beside a newer one.
    pub reordered: AtomicUsize,
}

impl Tally {
    pub fn count(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }
}

/// One that loses replies, repeats itself and reorders.
pub struct Lossy {
    pub api: Api,
    pub at: String,
    questions: Vec<(String, Vec<String>)>,
    /// The newest acknowledged sequence of each question.
    acknowledged: HashMap<String, i64>,
    /// What was sent with each sequence, acknowledged or not.
    sent: HashMap<(String, i64), String>,
    tally: Arc<Tally>,
}

enum Fate {
    Stored(i64),
    Unknown,
}

impl Lossy {
    pub fn new(api: Api, attempt: &Value, tally: Arc<Tally>) -> Self {
        Self {
            api,
            at: format!("/api/v1/exam-attempts/{}", text(attempt, "id")),
            questions: journeys::class::questions(attempt),
            acknowledged: HashMap::new(),
            sent: HashMap::new(),
            tally,
        }
    }

    /// Answers at random until it is told to stop.
    pub async fn run(mut self, stop: Arc<AtomicBool>) -> Self {
        let mut sequence = 0;
        while !stop.load(Ordering::SeqCst) {
            sequence += 1;
            let (question, option, dice) = {
                let mut random = rand::rng();
                let (question, options) = &self.questions[random.random_range(0..self.questions.len())];
                let option = options[random.random_range(0..options.len())].clone();
                (question.clone(), option, random.random_range(0..20))
            };
            self.sent.insert((question.clone(), sequence), option);
            let older = self.older(&question, sequence);
            match (dice, older) {
                // Two on the way at once, the older one perhaps behind the newer one.
                (0..3, Some(older)) => {
                    self.tally.reordered.fetch_add(1, Ordering::SeqCst);
                    let (first, second) = tokio::join!(
                        self.put(&question, older, None),
                        self.put(&question, sequence, None)
                    );
                    self.learn(&question, older, &first);
                    self.learn(&question, sequence, &second);
                }
                // Hangs up, whatever became of it; then it may ask again, as browsers do.
                (3..5, _) => {
                    let patience = Duration::from_micros(rand::rng().random_range(0..20_000));
                    let fate = self.put(&question, sequence, Some(patience)).await;
                    self.learn(&question, sequence, &fate);
                    if dice == 4 {
                        let fate = self.put(&question, sequence, None).await;
                        self.learn(&question, sequence, &fate);
                    }
                }
                _ => {
                    let fate = self.put(&question, sequence, None).await;
                    self.learn(&question, sequence, &fate);
                }
            }
        }
        self
    }

    fn older(&self, question: &str, sequence: i64) -> Option<i64> {
        // Near ones, as those are what a slow line overtakes.
        (1..sequence)
            .rev()
            .take(50)
            .find(|number| self.sent.contains_key(&(question.to_owned(), *number)))
    }

    async fn put(&self, question: &str, sequence: i64, patience: Option<Duration>) -> Fate {
        let option = &self.sent[&(question.to_owned(), sequence)];
        let path = format!("{}/answers/{question}", self.at);
        let body = json!({"sequence": sequence, "option_ids": [option]});
        let asking = self.api.try_send(Method::PUT, &path, Some(body), &[]);
        let answer = match patience {
            Some(patience) => {
                let Ok(answer) = tokio::time::timeout(patience, asking).await else {
                    self.tally.hung_up.fetch_add(1, Ordering::SeqCst);
                    return Fate::Unknown;
                };
                answer
            }
            None => asking.await,
        };
        match answer {
            Ok(answer) if answer.status == 200 => {
                self.tally.acknowledged.fetch_add(1, Ordering::SeqCst);
                Fate::Stored(answer.body["sequence"].as_i64().unwrap_or_default())
            }
            // Nothing but that the process is away may keep an answer from being taken.
            Ok(answer) if answer.status != 503 && answer.status != 504 => {
                panic!("{}: {}", answer.status, answer.body)
            }
            _ => {
                self.tally.refused.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Fate::Unknown
            }
        }
    }

    fn learn(&mut self, question: &str, sequence: i64, fate: &Fate) {
        let Fate::Stored(stored) = *fate else { return };
        assert!(
            stored >= sequence,
            "an older answer than {sequence} is stored: {stored}"
        );
        let known = self.acknowledged.entry(question.to_owned()).or_default();
        *known = (*known).max(stored);
    }

    /// Compares what is stored with what was acknowledged; tells how many questions were looked at.
    pub fn check(&self, attempt: &Value) -> usize {
        let stored: HashMap<&str, &Value> = attempt["answers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|answer| (text(answer, "question_id"), answer))
            .collect();
        for (question, sequence) in &self.acknowledged {
            let answer = stored.get(question.as_str());
            let Some(answer) = answer else {
                panic!("lost: {question} of {}", self.at)
            };
            let number = answer["sequence"].as_i64().unwrap_or_default();
            assert!(
                number >= *sequence,
                "{number} overwrote {sequence} of {question} of {}",
                self.at
            );
            let sent = &self.sent[&(question.clone(), number)];
            assert_eq!(
                answer["option_ids"][0],
                sent.as_str(),
                "not what was sent as {number}"
            );
        }
        self.acknowledged.len()
    }
}
