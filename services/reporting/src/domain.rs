//! Rules without I/O.

pub mod day;
pub mod fact;
pub mod report;
