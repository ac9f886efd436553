//! Pure rules: no I/O, no proto, no SQL.

pub mod section;
pub mod status;
pub mod step;
