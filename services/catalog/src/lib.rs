//! The catalog service: categories, courses, topics, videos; search.

mod app;
mod caching;
mod config;
mod consumers;
mod demo;
mod domain;
mod grpc;
mod import;
mod jobs;
mod learners;
mod personal_data;
mod storage;
mod teachers;
#[cfg(test)]
mod tests;
mod usecases;

pub use app::Catalog as App;
