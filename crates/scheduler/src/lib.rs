//! Jobs by the calendar: a service declares them in code, one of its instances runs each due time, and a due time is run once.
//!
//! The lease is a row in the service's own schema, and all time is the database's. What was missed while no instance ran is made
//! up for once, by the latest due time. A job that fails is tried again; a job may therefore begin twice for one due time and has
//! to be able to (or asks [`RunContext::hold`] in its transaction).

mod history;
mod job;
pub mod operate;
mod run;
mod scheduler;
mod storage;
mod when;

pub use history::purge_history;
pub use job::{Job, LeaseLost, RunContext};
pub use scheduler::{Scheduler, Settings};
pub use when::{InvalidSchedule, Schedule};
