//! The service on real servers, without its own.

mod lists;
