//! From the queue of events for institutions to their systems.

pub mod courier;
pub mod dispatcher;
mod resolver;
