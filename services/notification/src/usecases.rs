//! One verb a file.

pub mod create_live_ticket;
pub mod list_notifications;
pub mod list_notifications_after;
pub mod mark_read;
pub mod tell;
