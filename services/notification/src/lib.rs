//! The notification service: mails, the in-app inbox and webhooks, fed by events.

mod app;
mod config;
mod consumers;
mod domain;
mod grpc;
mod jobs;
mod mail;
mod personal_data;
mod recipients;
mod storage;
#[cfg(test)]
mod tests;
mod usecases;
mod webhooks;

pub use app::Notification as App;
