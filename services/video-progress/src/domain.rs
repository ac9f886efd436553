//! Pure rules.

pub mod course_percent;
pub mod watched;
