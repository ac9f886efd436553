//! One verb a file.

pub mod list_notifications;
pub mod mark_read;
pub mod tell;
