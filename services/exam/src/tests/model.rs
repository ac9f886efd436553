//! The service against a small reference: random sequences of everything that happens to an attempt. `SC_MODEL_RUNS` says how many;
//! the requirement is 100,000.

use std::collections::HashMap;
use std::time::Instant;

use access_token::Caller;
use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use typed_id::ExamId;

use super::classroom::{Classroom, code, repetitions};
use crate::domain::deadline::Accommodation;
use crate::storage::attempts::{Attempt, of_user};
use crate::usecases::accommodate::put;
use crate::usecases::close_due::close_due;
use crate::usecases::exams::Changes;
use crate::usecases::regrade::regrade;

const LIMIT: i64 = 620;
const GRACE: i64 = 5;
const CLOSE_AFTER: i64 = 2;
/// Students who sit at the same time, each a sequence of their own.
const LANES: usize = 32;
/// Sums of these are 20 s before a deadline or 30 s after it: real time passes too while a sequence goes on, and on a busy machine it is
/// seconds. What comes within the grace is tested where answers are.
const PASSES: [i64; 6] = [50, 300, 550, 600, 650, 1_200];

/// What happens to one student.
#[derive(Debug, Clone)]
enum Step {
    Start,
    Save {
        question: usize,
        option: usize,
        sequence: i32,
    },
    Submit,
    Extend {
        seconds: i32,
    },
    Pass {
        seconds: i64,
    },
    CloseDue,
    Regrade,
}

/// Everybody does something of their own, or the service does something to all of them.
#[derive(Debug, Clone)]
enum Round {
    Each(Vec<Step>),
    All(Step),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Start),
        6 => (0..2_usize, 0..3_usize, 0..6_i32).prop_map(|(question, option, sequence)| Step::Save { question, option, sequence }),
        2 => Just(Step::Submit),
        1 => prop::sample::select(vec![0, 100, 2_000]).prop_map(|seconds| Step::Extend { seconds }),
        2 => prop::sample::select(PASSES.to_vec()).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

fn round() -> impl Strategy<Value = Round> {
    prop_oneof![
        13 => prop::collection::vec(step(), LANES).prop_map(Round::Each),
        2 => Just(Round::All(Step::CloseDue)),
        1 => Just(Round::All(Step::Regrade)),
    ]
}

/// The reference: one student, one exam of two questions whose first option is right, two attempts.
#[derive(Debug, Default)]
struct Reference {
    attempts: Vec<Reference1>,
    /// The one that the student got last; more time can make it the first again.
    current: Option<usize>,
    extra: i64,
}

#[derive(Debug, Default, Clone)]
struct Reference1 {
    /// Seconds since its start.
    age: i64,
    /// After its start.
    deadline: i64,
    over: Option<&'static str>,
    answers: HashMap<usize, (i32, usize)>,
}

impl Reference1 {
    fn score(&self) -> i64 {
        self.answers.values().filter(|(_, option)| *option == 0).count() as i64 * 10_000
    }

    fn close(&mut self, by: &'static str) {
        self.over = Some(by);
    }

    fn state(&self) -> &'static str {
        match self.over {
            None => "open",
            Some("server") if self.answers.is_empty() => "expired",
            Some(_) => "graded",
        }
    }
}

impl Reference {
    fn start(&mut self) -> &'static str {
        if let Some(at) = self.attempts.iter().position(|attempt| attempt.over.is_none()) {
            let open = &mut self.attempts[at];
            if open.age <= open.deadline + GRACE {
                self.current = Some(at);
                return "ok";
            }
            open.close("server");
        }
        if self.attempts.len() >= 2 {
            return "attempts_exhausted";
        }
        self.attempts.push(Reference1 {
            deadline: LIMIT + self.extra,
            ..Reference1::default()
        });
        self.current = Some(self.attempts.len() - 1);
        "ok"
    }

    fn save(&mut self, question: usize, option: usize, sequence: i32) -> (&'static str, i32) {
        let Some(attempt) = self.current.map(|at| &mut self.attempts[at]) else {
            return ("none", 0);
        };
        if attempt.over.is_some() || attempt.age > attempt.deadline + GRACE {
            return ("attempt_closed", 0);
        }
        let stored = attempt.answers.entry(question).or_insert((sequence, option));
        if stored.0 < sequence {
            *stored = (sequence, option);
        }
        ("ok", stored.0)
    }

    fn submit(&mut self) {
        let current = self.current.map(|at| &mut self.attempts[at]);
        if let Some(attempt) = current.filter(|attempt| attempt.over.is_none()) {
            let late = attempt.age > attempt.deadline + GRACE;
            attempt.close(if late { "server" } else { "student" });
        }
    }

    fn extend(&mut self, seconds: i64) {
        self.extra = seconds;
        let mut busy = self.attempts.iter().any(|attempt| attempt.over.is_none());
        for attempt in self.attempts.iter_mut().rev() {
            let deadline = LIMIT + seconds;
            if deadline == attempt.deadline {
                continue;
            }
            if attempt.over.is_none() {
                attempt.deadline = deadline;
            } else if attempt.over == Some("server") && deadline > attempt.age && !busy {
                attempt.deadline = deadline;
                attempt.over = None;
                busy = true;
            }
        }
    }

    fn close_due(&mut self) {
        for attempt in &mut self.attempts {
            if attempt.over.is_none() && attempt.age > attempt.deadline + GRACE + CLOSE_AFTER {
                attempt.close("server");
            }
        }
    }
}

/// One student, what the reference knows of them, and what happened so far.
struct Lane {
    student: Caller,
    reference: Reference,
    last: Option<Attempt>,
    steps: Vec<Step>,
}

impl Lane {
    fn new(student: Caller) -> Self {
        Self {
            student,
            reference: Reference::default(),
            last: None,
            steps: Vec::new(),
        }
    }

    async fn take(&mut self, room: &Classroom, exam: ExamId, step: &Step) {
        self.steps.push(step.clone());
        let student = &self.student;
        match step {
            Step::Start => {
                let started = room.start(student, exam).await;
                assert_eq!(code(&started), self.reference.start(), "{:?}", self.steps);
                if let Ok(started) = started {
                    self.last = Some(started.attempt);
                }
            }
            Step::Save {
                question,
                option,
                sequence,
            } => {
                let Some(attempt) = &self.last else { return };
                let saved = room.choose(student, attempt, *question, *option, *sequence).await;
                let (expected, stored) = self.reference.save(*question, *option, *sequence);
                assert_eq!(code(&saved), expected, "{:?}", self.steps);
                if let Ok(saved) = saved {
                    assert_eq!(saved.sequence, stored, "{:?}", self.steps);
                }
            }
            Step::Submit => {
                let Some(attempt) = &self.last else { return };
                room.submit(student, attempt.id).await.unwrap();
                self.reference.submit();
            }
            Step::Extend { seconds } => {
                let more = Accommodation {
                    extra_seconds: *seconds,
                    extra_percent: 0,
                };
                put(&room.app, &room.teacher, exam, student.user().unwrap().id, more)
                    .await
                    .unwrap();
                self.reference.extend(i64::from(*seconds));
            }
            Step::Pass { seconds } => {
                let user = student.user().unwrap().id;
                room.execute(format!(
                    "UPDATE exam.attempts SET started_at = started_at - make_interval(secs => {seconds}),
                         deadline = deadline - make_interval(secs => {seconds}) WHERE user_id = '{user}'"
                ))
                .await;
                for known in &mut self.reference.attempts {
                    known.age += seconds;
                }
            }
            Step::CloseDue => self.reference.close_due(),
            // The keys have not changed, and so nothing does.
            Step::Regrade => {}
        }
    }

    async fn check(&self, room: &Classroom, exam: ExamId) {
        let user = self.student.user().unwrap().id;
        let stored = of_user(room.app.db.primary(), exam, user).await.unwrap();
        assert_eq!(stored.len(), self.reference.attempts.len(), "{:?}", self.steps);
        for (attempt, known) in stored.iter().zip(&self.reference.attempts) {
            assert_eq!(attempt.state.as_str(), known.state(), "{:?}", self.steps);
            if known.over.is_some() {
                assert_eq!(attempt.score.unwrap().0, known.score(), "{:?}", self.steps);
                assert_eq!(attempt.answered, i32::try_from(known.answers.len()).unwrap());
            }
        }
    }
}

async fn run(room: &Classroom, exam: ExamId, rounds: Vec<Round>) {
    let students = room.students(LANES).await;
    let mut lanes: Vec<Lane> = students.into_iter().map(Lane::new).collect();
    for round in &rounds {
        let steps: Vec<&Step> = match round {
            Round::Each(steps) => steps.iter().collect(),
            Round::All(step) => vec![step; LANES],
        };
        match round {
            Round::All(Step::CloseDue) => while close_due(&room.app).await.unwrap() {},
            Round::All(Step::Regrade) => {
                let done = regrade(&room.app, &room.teacher, exam, false).await.unwrap();
                assert_eq!(done.changed, 0, "the key has not changed: {rounds:?}");
            }
            _ => {}
        }
        let taken = lanes
            .iter_mut()
            .zip(steps)
            .map(|(lane, step)| lane.take(room, exam, step));
        join_all(taken).await;
    }
    join_all(lanes.iter().map(|lane| lane.check(room, exam))).await;
    // What is left must not be closed or graded again in the next run.
    room.execute("DELETE FROM exam.grades; DELETE FROM exam.answers; DELETE FROM exam.attempts".into())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_runs_do_what_the_reference_does() {
    let sequences = repetitions("SC_MODEL_RUNS", 200);
    let mut runner = TestRunner::default();
    let room = Classroom::open().await;
    let rounds = prop::collection::vec(round(), 1..25);
    let rules = Changes {
        time_limit_seconds: Some(Some(i32::try_from(LIMIT).unwrap())),
        max_attempts: Some(2),
        ..Changes::default()
    };
    let exam = room.exam(2, rules).await;
    let began = Instant::now();
    let batches = sequences.div_ceil(LANES);
    for _ in 0..batches {
        run(&room, exam, rounds.new_tree(&mut runner).unwrap().current()).await;
    }
    #[expect(clippy::print_stdout, reason = "what the run measured")]
    {
        let (sequences, seconds) = (batches * LANES, began.elapsed().as_secs_f64());
        println!("{sequences} sequences in {seconds:.0} s, 0 differences");
    }
}
