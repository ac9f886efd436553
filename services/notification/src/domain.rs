//! Pure rules: which message there is for what, and how it reads.

pub mod message;
pub mod texts;
