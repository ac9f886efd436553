//! Pure rules: no clock, no database, no network.

pub mod answer;
pub mod attempt;
pub mod deadline;
pub mod draw;
pub mod exchange;
pub mod final_score;
pub mod fold;
pub mod grading;
pub mod policy;
pub mod question;
pub mod receipt;
pub mod revision;
pub mod score;
