//! The only SQL of this service.

pub mod announcements;
pub mod digests;
pub mod erased_users;
pub mod mails;
pub mod notifications;
pub mod preferences;
pub mod users;
pub mod webhook_deliveries;
pub mod webhooks;
