//! The only SQL of this service.

pub mod keys;
pub mod one_time_tokens;
pub mod passwords;
pub mod refresh_tokens;
pub mod revocations;
pub mod roles;
pub mod sessions;
pub mod users;
