//! The reporting service: what happened in the school, how much of it, and files about it.

mod app;
mod config;
mod consumers;
mod domain;
mod grpc;
mod jobs;
mod personal_data;
mod storage;
#[cfg(test)]
mod tests;
mod usecases;

pub use app::Reporting as App;
