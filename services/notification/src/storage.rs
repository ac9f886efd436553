//! The only SQL of this service.

pub mod mails;
pub mod notifications;
pub mod users;
