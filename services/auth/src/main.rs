//! The auth service: accounts, sessions, tokens, roles.

mod app;
mod config;
mod demo;
mod domain;
mod grpc;
mod jobs;
mod keys;
mod passwords;
mod storage;
#[cfg(test)]
mod tests;
mod usecases;

fn main() -> std::process::ExitCode {
    service_runtime::main::<app::Auth>()
}
