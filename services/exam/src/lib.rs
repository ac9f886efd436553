//! The exam service: attempts whose answers are never lost, and everything around them.

mod app;
mod config;
mod demo;
mod domain;
mod grpc;
mod jobs;
mod personal_data;
mod snapshots;
mod storage;
#[cfg(test)]
mod tests;
mod usecases;

pub use app::Exams as App;
