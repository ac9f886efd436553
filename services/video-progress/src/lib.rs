//! The video-progress service: who may watch what, and who watched how much of it.

mod app;
mod config;
mod consumers;
mod domain;
mod grpc;
mod jobs;
mod personal_data;
mod storage;
mod tasks;
#[cfg(test)]
mod tests;
mod usecases;
mod videos;
mod youtube;

pub use app::VideoProgress as App;
