//! Pure rules: no I/O, no proto, no SQL.

pub mod device;
pub mod email;
pub mod foreign_hash;
pub mod name;
pub mod password;
pub mod rotation;
pub mod second_factor;
pub mod secret;
