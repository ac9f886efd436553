//! The service on a real database, without its server.

mod activity;
mod erasure;
mod reports;
mod school;
mod statistics;
mod summaries;
