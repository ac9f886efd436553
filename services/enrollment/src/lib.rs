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

pub use app::Enrollment as App;
