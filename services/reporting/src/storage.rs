//! The only SQL of this service.

pub mod activity;
pub mod operations;
pub mod rows;
pub mod statistics;
pub mod summaries;
pub mod videos;
