//! Journeys through the gateway against real processes: the harness. The journeys themselves are in `tests/`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a harness of tests: what does not work fails the test"
)]

pub mod api;
pub mod mailbox;
pub mod people;
pub mod stack;

pub use api::{Answer, Api};
pub use stack::{Process, Stack, StackOptions};
