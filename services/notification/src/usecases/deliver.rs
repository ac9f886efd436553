use std::collections::HashSet;
use std::sync::Arc;

use event_bus::HandlerError;
use postgres::WriteTx;
use time::OffsetDateTime;
use typed_id::{EventId, NotificationId};
use uuid::Uuid;

use super::tell::Message;
use crate::app::Notification;
use crate::domain::message::{MailKind, Priority, Recipient, Values};
use crate::domain::preference::Category;
use crate::domain::route::{Route, route};
use crate::domain::schedule::next_digest;
use crate::domain::texts::{DigestItem, TextError};
use crate::storage::digests::{self, NewItem};
use crate::storage::mails::{self, NewMail};
use crate::storage::notifications::{self, NewNotification};
use crate::storage::preferences::{self, Wishes};

/// A summary shows so many characters of a message; its link leads to the whole.
const EXCERPT: usize = 300;

/// A message, whom it goes to, and because of which event.
#[derive(Debug, Clone)]
pub struct Letter {
    pub event: EventId,
    pub to: Recipient,
    pub message: Message,
}

/// A mail that the user wants, before the hourly cap.
struct Planned {
    mail: NewMail,
    item: DigestItem,
    category: Category,
    /// Where it goes when its hour is full; `None` for what nothing may hold back.
    overflow: Option<OffsetDateTime>,
}

/// Writes inbox entries and queues mails, as each recipient prefers; every recipient stands there once. Who was erased is told nothing,
/// as events carry addresses and may be handled after the erasure. A few statements, however many they are.
pub async fn deliver(app: &Notification, tx: &mut WriteTx, letters: Vec<Letter>) -> Result<(), HandlerError> {
    let now = app.clock.now();
    let ids: Vec<Uuid> = letters.iter().map(|letter| letter.to.user_id.0).collect();
    let wishes = preferences::of_users(tx, &ids).await?;
    let (mut entries, mut planned, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for letter in letters {
        let Some(wishes) = wishes.get(&letter.to.user_id.0) else {
            continue;
        };
        let values = Values {
            name: letter.to.name.clone(),
            ..letter.message.values.clone()
        };
        entries.extend(entry(app, wishes, &letter, &values, now).map_err(poison)?);
        let Some(kind) = letter.message.mail else {
            continue;
        };
        let route = route(kind, &wishes.preferences, &wishes.zone, now);
        if route == Route::Nothing {
            continue;
        }
        let mail = plan(app, kind, wishes, letter, &values, now).map_err(poison)?;
        match route {
            Route::At(at) => planned.push(Planned {
                mail: NewMail { at, ..mail.mail },
                ..mail
            }),
            Route::Digest(due_at) => items.push(item(mail, due_at)),
            Route::Nothing => {}
        }
    }
    let within = within_cap(app, tx, &planned).await?;
    let (go, wait): (Vec<Planned>, Vec<Planned>) = planned
        .into_iter()
        .partition(|planned| planned.overflow.is_none() || within.contains(&planned.mail.to.user_id.0));
    items.extend(wait.into_iter().map(|planned| {
        let due_at = planned.overflow.unwrap_or(now);
        item(planned, due_at)
    }));
    let mails: Vec<NewMail> = go.into_iter().map(|planned| planned.mail).collect();
    if !entries.is_empty() {
        let written: HashSet<Uuid> = notifications::insert(&mut **tx, &entries)
            .await?
            .into_iter()
            .collect();
        entries.retain(|entry| written.contains(&entry.id.0));
        let push = app.push.clone();
        tx.after_commit(move || {
            entries
                .iter()
                .for_each(|entry| push.tell(entry.user_id, entry.into()));
        });
    }
    if !items.is_empty() {
        digests::insert(tx, &items, now).await?;
    }
    if !mails.is_empty() {
        mails::insert(&mut **tx, &mails, now).await?;
        let wake = Arc::clone(&app.wake_sender);
        tx.after_commit(move || wake.notify_one());
    }
    Ok(())
}

fn poison(fault: TextError) -> HandlerError {
    HandlerError::Poison(fault.into())
}

/// The inbox entry, unless the user wants none.
fn entry(
    app: &Notification,
    wishes: &Wishes,
    letter: &Letter,
    values: &Values,
    now: OffsetDateTime,
) -> Result<Option<NewNotification>, TextError> {
    let kind = letter.message.notification;
    let Some(kind) = kind.filter(|kind| wishes.preferences.in_app(kind.category())) else {
        return Ok(None);
    };
    let content = app.texts.notification(kind, letter.to.locale, values)?;
    Ok(Some(NewNotification {
        id: NotificationId::new(now),
        user_id: letter.to.user_id,
        event_id: letter.event,
        kind: kind.as_str(),
        title: content.title,
        body: content.body,
        link: letter.message.path.clone(),
        created_at: now,
    }))
}

fn plan(
    app: &Notification,
    kind: MailKind,
    wishes: &Wishes,
    letter: Letter,
    values: &Values,
    now: OffsetDateTime,
) -> Result<Planned, TextError> {
    let link = Some(letter.message.link.as_str()).filter(|link| !link.is_empty());
    let content = app.texts.mail(kind, letter.to.locale, values, link)?;
    let can_wait = kind.priority() != Priority::High;
    Ok(Planned {
        item: DigestItem {
            title: content.subject.clone(),
            body: excerpt(&values.body),
            link: letter.message.link,
        },
        category: kind.category().unwrap_or(Category::Account),
        overflow: can_wait.then(|| next_digest(false, &wishes.zone, now)),
        mail: NewMail {
            event_id: letter.event,
            kind,
            to: letter.to,
            content,
            at: now,
        },
    })
}

fn item(planned: Planned, due_at: OffsetDateTime) -> NewItem {
    NewItem {
        user_id: planned.mail.to.user_id,
        event_id: planned.mail.event_id,
        kind: planned.mail.kind.as_str(),
        category: planned.category,
        item: planned.item,
        due_at,
    }
}

/// Users whose mail still fits into the hour it would go in.
async fn within_cap(
    app: &Notification,
    tx: &mut WriteTx,
    planned: &[Planned],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let capped = planned.iter().filter(|planned| planned.overflow.is_some());
    let (users, hours): (Vec<Uuid>, Vec<OffsetDateTime>) = capped
        .map(|planned| (planned.mail.to.user_id.0, hour(planned.mail.at)))
        .unzip();
    if users.is_empty() {
        return Ok(HashSet::new());
    }
    let within = mails::take_budget(&mut **tx, &users, &hours, app.hourly_cap).await?;
    Ok(within.into_iter().collect())
}

/// The hour that a moment is in.
fn hour(at: OffsetDateTime) -> OffsetDateTime {
    at - time::Duration::nanoseconds((at.unix_timestamp_nanos() % 3_600_000_000_000) as i64)
}

fn excerpt(body: &str) -> String {
    match body.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", body.get(..end).unwrap_or_default().trim_end()),
        None => body.to_owned(),
    }
}
