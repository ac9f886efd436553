//! Pure rules: which message there is for what, how it reads, and when it goes.

pub mod message;
pub mod preference;
pub mod public_address;
pub mod route;
pub mod schedule;
pub mod texts;
pub mod webhook;
