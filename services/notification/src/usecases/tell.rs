use contracts::Timestamp;
use event_bus::HandlerError;
use postgres::WriteTx;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use typed_id::EventId;

use super::deliver::{Letter, deliver};
use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Recipient, Values};

/// What somebody is told, by which ways.
#[derive(Debug, Clone)]
pub struct Message {
    pub mail: Option<MailKind>,
    pub notification: Option<NotificationKind>,
    pub values: Values,
    /// Address behind the mail's button; empty for none.
    pub link: String,
    /// Path in the client behind the inbox entry; empty for none.
    pub path: String,
}

/// Tells one user, as they prefer it, in the transaction of the event that causes it.
pub async fn tell(
    app: &Notification,
    tx: &mut WriteTx,
    event: EventId,
    to: &Recipient,
    message: Message,
) -> Result<(), HandlerError> {
    let letter = Letter {
        event,
        to: to.clone(),
        message,
    };
    deliver(app, tx, vec![letter]).await
}

/// A moment for people, in Turkey's time (UTC+3 all year since 2016).
pub fn moment(at: Option<&Timestamp>) -> String {
    let at = at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok());
    let offset = UtcOffset::from_hms(3, 0, 0).unwrap_or(UtcOffset::UTC);
    let format = format_description!("[day].[month].[year] [hour]:[minute] (UTC+3)");
    at.and_then(|at| at.to_offset(offset).format(&format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_turkish_time() {
        let at = Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        };
        assert_eq!(moment(Some(&at)), "15.01.2027 11:00 (UTC+3)");
        assert_eq!(moment(None), "");
    }
}
