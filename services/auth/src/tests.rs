//! The use cases against a real PostgreSQL and Redis; each test has its own.

mod accounts;
mod hardening;
mod imports;
mod keys;
mod passwords;
mod registration;
mod roles;
mod school;
mod sessions;
mod turns;
mod wire;
