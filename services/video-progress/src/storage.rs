//! The only SQL of this service, beside the roster's.

pub mod access_log;
pub mod metadata;
pub mod progress;
pub mod videos;
