//! The use cases against a real PostgreSQL and Redis; each test has its own.

mod accounts;
mod departments;
mod hardening;
mod imports;
mod keys;
mod managing;
mod oidc;
mod passwords;
mod registration;
mod roles;
mod school;
mod sessions;
mod turns;
mod wire;
