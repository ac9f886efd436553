//! Journeys through the gateway against real processes: the harness. The journeys themselves are in `tests/`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a harness of tests: what does not work fails the test"
)]

pub mod api;
pub mod class;
pub mod mailbox;
pub mod people;
pub mod rpc;
pub mod stack;

pub use api::{Answer, Api};
pub use stack::{Process, Stack, StackOptions};

/// How often a test repeats itself: more by an environment variable, for a long run.
#[expect(clippy::disallowed_methods, reason = "the one setting of a test")]
pub fn repetitions(name: &str, usual: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(usual)
}
