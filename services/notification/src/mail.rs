//! From the queue of mails to the outside.

pub mod preview;
pub mod sender;
pub mod transport;
