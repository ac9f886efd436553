//! The enrollment service: who learns what.

mod app;
mod config;
mod consumers;
mod demo;
mod domain;
mod grpc;
mod jobs;
mod personal_data;
mod projections;
mod storage;
#[cfg(test)]
mod tests;
mod usecases;

fn main() -> std::process::ExitCode {
    service_runtime::main::<app::Enrollment>()
}
