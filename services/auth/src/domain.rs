//! Pure rules: no I/O, no proto, no SQL.

pub mod email;
pub mod password;
pub mod secret;
