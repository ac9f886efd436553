//! The use cases against a real PostgreSQL and Redis; each test has its own.

mod accounts;
mod departments;
mod email_changes;
mod hardening;
mod imports;
mod keys;
mod managing;
mod oidc;
mod passwords;
mod personal_data;
mod registration;
mod roles;
mod school;
mod sessions;
mod turns;
mod wire;
