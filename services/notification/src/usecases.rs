//! One verb a file.

pub mod announce;
pub mod create_live_ticket;
pub mod deliver;
pub mod list_notifications;
pub mod list_notifications_after;
pub mod mark_read;
pub mod preferences;
pub mod send_announcements;
pub mod send_digests;
pub mod tell;
pub mod unsubscribe;
pub mod webhooks;

use postgres::WriteError;
use problem::Problem;

/// A write that failed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Refused(#[from] Problem),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("a message could not be delivered")]
    Delivery(#[from] event_bus::HandlerError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<ChangeError> for Problem {
    fn from(fault: ChangeError) -> Self {
        match fault {
            ChangeError::Refused(problem) => problem,
            ChangeError::Write(fault) => fault.into(),
            ChangeError::Delivery(fault) => Self::internal(fault),
        }
    }
}
