use contracts::Timestamp;
use event_bus::HandlerError;
use postgres::WriteTx;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use typed_id::{EventId, MailId, NotificationId};

use crate::app::Notification;
use crate::domain::message::{MailKind, NotificationKind, Recipient, Values};
use crate::storage::notifications::NewNotification;
use crate::storage::{mails, notifications};

/// What somebody is told, by which ways.
#[derive(Debug)]
pub struct Message {
    pub mail: Option<MailKind>,
    pub notification: Option<NotificationKind>,
    pub values: Values,
    /// Address behind the mail's button; empty for none.
    pub link: String,
    /// Path in the client behind the inbox entry; empty for none.
    pub path: String,
}

/// Queues the mail and writes the inbox entry, in the transaction of the event that causes them.
pub async fn tell(
    app: &Notification,
    tx: &mut WriteTx,
    event: EventId,
    to: &Recipient,
    message: Message,
) -> Result<(), HandlerError> {
    let now = app.clock.now();
    let values = Values {
        name: to.name.clone(),
        ..message.values
    };
    let poison = |fault: crate::domain::texts::TextError| HandlerError::Poison(fault.into());
    if let Some(kind) = message.notification {
        let content = app.texts.notification(kind, to.locale, &values).map_err(poison)?;
        let new = NewNotification {
            id: NotificationId::new(now),
            user_id: to.user_id,
            event_id: event,
            kind: kind.as_str(),
            title: &content.title,
            body: &content.body,
            link: &message.path,
            created_at: now,
        };
        if notifications::insert(&mut **tx, &new).await? {
            let (push, told) = (
                app.push.clone(),
                contracts::notification::v1::Notification::from(&new),
            );
            let user = to.user_id;
            tx.after_commit(move || push.tell(user, told));
        }
    }
    if let Some(kind) = message.mail {
        let link = Some(message.link.as_str()).filter(|link| !link.is_empty());
        let content = app.texts.mail(kind, to.locale, &values, link).map_err(poison)?;
        mails::insert(&mut **tx, MailId::new(now), event, kind, to, &content, now).await?;
        // The sender may look before this commits; its next round is soon.
        app.wake_sender.notify_one();
    }
    Ok(())
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
