//! Pure rules: no I/O, no proto, no SQL.

pub mod import;
pub mod section;
pub mod status;
