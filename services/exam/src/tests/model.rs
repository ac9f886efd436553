//! The service against a small reference: random runs of everything that happens to an attempt. `SC_MODEL_RUNS` says how many.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use typed_id::ExamId;

use super::classroom::{Classroom, code, repetitions};
use crate::domain::deadline::Accommodation;
use crate::usecases::accommodate::put;
use crate::usecases::close_due::close_due;
use crate::usecases::exams::Changes;
use crate::usecases::regrade::regrade;

const LIMIT: i64 = 600;
const GRACE: i64 = 5;
const CLOSE_AFTER: i64 = 2;
/// Sums of these stay seconds away from a deadline with its grace, as real time passes too while a run goes on.
const PASSES: [i64; 6] = [10, 300, 590, 602, 610, 1_200];

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
    CloseDue,
    Pass {
        seconds: i64,
    },
    Regrade,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Start),
        6 => (0..2_usize, 0..3_usize, 0..6_i32).prop_map(|(question, option, sequence)| Step::Save { question, option, sequence }),
        2 => Just(Step::Submit),
        1 => prop::sample::select(vec![0, 100, 2_000]).prop_map(|seconds| Step::Extend { seconds }),
        2 => Just(Step::CloseDue),
        2 => prop::sample::select(PASSES.to_vec()).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Regrade),
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

async fn run(room: &Classroom, exam: ExamId, student: &access_token::Caller, steps: &[Step]) {
    let mut reference = Reference::default();
    let mut last = None;
    for step in steps {
        match step {
            Step::Start => {
                let started = room.start(student, exam).await;
                assert_eq!(code(&started), reference.start(), "{step:?} of {steps:?}");
                if let Ok(started) = started {
                    last = Some(started.attempt);
                }
            }
            Step::Save {
                question,
                option,
                sequence,
            } => {
                let Some(attempt) = &last else { continue };
                let saved = room.choose(student, attempt, *question, *option, *sequence).await;
                let (expected, stored) = reference.save(*question, *option, *sequence);
                assert_eq!(code(&saved), expected, "{step:?} of {steps:?}");
                if let Ok(saved) = saved {
                    assert_eq!(saved.sequence, stored, "{step:?} of {steps:?}");
                }
            }
            Step::Submit => {
                let Some(attempt) = &last else { continue };
                room.submit(student, attempt.id).await.unwrap();
                reference.submit();
            }
            Step::Extend { seconds } => {
                let more = Accommodation {
                    extra_seconds: *seconds,
                    extra_percent: 0,
                };
                put(&room.app, &room.teacher, exam, student.user().unwrap().id, more)
                    .await
                    .unwrap();
                reference.extend(i64::from(*seconds));
            }
            Step::CloseDue => {
                while close_due(&room.app).await.unwrap() {}
                reference.close_due();
            }
            Step::Pass { seconds } => {
                let stored = crate::storage::attempts::of_user(
                    room.app.db.primary(),
                    exam,
                    student.user().unwrap().id,
                )
                .await
                .unwrap();
                for (attempt, known) in stored.iter().zip(&mut reference.attempts) {
                    room.age(attempt.id, Duration::from_secs(seconds.unsigned_abs()))
                        .await;
                    known.age += seconds;
                }
            }
            Step::Regrade => {
                let done = regrade(&room.app, &room.teacher, exam, false).await.unwrap();
                assert_eq!(done.changed, 0, "the key has not changed: {steps:?}");
            }
        }
    }
    let stored = crate::storage::attempts::of_user(room.app.db.primary(), exam, student.user().unwrap().id)
        .await
        .unwrap();
    assert_eq!(stored.len(), reference.attempts.len(), "{steps:?}");
    for (attempt, known) in stored.iter().zip(&reference.attempts) {
        assert_eq!(attempt.state.as_str(), known.state(), "{steps:?}");
        if known.over.is_some() {
            assert_eq!(attempt.score.unwrap().0, known.score(), "{steps:?}");
            assert_eq!(attempt.answered, i32::try_from(known.answers.len()).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_runs_do_what_the_reference_does() {
    let runs = repetitions("SC_MODEL_RUNS", 60);
    let mut runner = TestRunner::default();
    let room = Classroom::open().await;
    let sequences = prop::collection::vec(step(), 1..25);
    let rules = || Changes {
        time_limit_seconds: Some(Some(600)),
        max_attempts: Some(2),
        ..Changes::default()
    };
    let mut left = runs;
    while left > 0 {
        let exam = room.exam(2, rules()).await;
        let batch = left.min(16);
        left -= batch;
        let students = room.students(batch).await;
        let steps: Vec<Vec<Step>> = (0..batch)
            .map(|_| sequences.new_tree(&mut runner).unwrap().current())
            .collect();
        // One after the other: closing and grading again work on all attempts of the exam.
        for (student, steps) in students.iter().zip(&steps) {
            run(&room, exam, student, steps).await;
            // What is left of a run must not be graded again in the next.
            room.execute(
                "DELETE FROM exam.grades; DELETE FROM exam.answers; DELETE FROM exam.attempts".into(),
            )
            .await;
        }
    }
}
