//! The auth service: accounts, sessions, tokens, roles.

mod app;
mod config;
mod demo;
mod domain;
mod grpc;
mod jobs;
mod key_commands;
mod keys;
mod oidc;
mod passwords;
mod storage;
#[cfg(test)]
mod tests;
mod usecases;

pub use app::Auth as App;
