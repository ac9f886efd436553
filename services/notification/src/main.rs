//! The notification service: mails and the in-app inbox, fed by events.

mod app;
mod config;
mod consumers;
mod domain;
mod grpc;
mod mail;
mod personal_data;
mod recipients;
mod storage;
mod usecases;

fn main() -> std::process::ExitCode {
    service_runtime::main::<app::Notification>()
}
