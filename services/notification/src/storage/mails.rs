use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};
use typed_id::{EventId, MailId};
use uuid::Uuid;

use crate::domain::message::{MailKind, Recipient};
use crate::domain::texts::MailContent;

/// A mail as the queue holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub id: MailId,
    pub kind: String,
    pub address: String,
    pub recipient_name: String,
    pub content: MailContent,
    pub created_at: OffsetDateTime,
    /// This attempt counted.
    pub attempts: i32,
}

struct Row {
    id: Uuid,
    kind: String,
    address: String,
    recipient_name: String,
    subject: String,
    text_body: String,
    html_body: String,
    created_at: OffsetDateTime,
    attempts: i32,
}

/// Queues a mail unless there is one for this event, recipient and kind.
pub async fn insert(
    db: impl PgExecutor<'_>,
    id: MailId,
    event: EventId,
    kind: MailKind,
    to: &Recipient,
    content: &MailContent,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO notification.mails
             (id, user_id, event_id, kind, priority, address, recipient_name, subject, text_body, html_body,
              next_attempt_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
         ON CONFLICT (event_id, user_id, kind) DO NOTHING",
        id.0,
        to.user_id.0,
        event.0,
        kind.as_str(),
        kind.priority().as_i16(),
        to.address,
        to.name,
        content.subject,
        content.text,
        content.html,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes up to `limit` due mails, most urgent first. Nobody else gets them before `lease` is over, and after a crash they are due again.
pub async fn claim(
    db: impl PgExecutor<'_>,
    limit: i64,
    lease: Duration,
    now: OffsetDateTime,
) -> Result<Vec<Mail>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "UPDATE notification.mails SET attempts = attempts + 1, next_attempt_at = $3
         WHERE id IN (
             SELECT id FROM notification.mails WHERE state = 'pending' AND next_attempt_at <= $1
             ORDER BY priority, next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING id, kind, address, recipient_name, subject, text_body, html_body, created_at, attempts",
        now,
        limit,
        now + lease,
    )
    .fetch_all(db)
    .await?;
    let mails = rows.into_iter().map(|row| Mail {
        id: MailId(row.id),
        kind: row.kind,
        address: row.address,
        recipient_name: row.recipient_name,
        content: MailContent {
            subject: row.subject,
            text: row.text_body,
            html: row.html_body,
        },
        created_at: row.created_at,
        attempts: row.attempts,
    });
    Ok(mails.collect())
}

/// Records that the mail is out, and forgets its text.
pub async fn mark_sent(db: impl PgExecutor<'_>, id: MailId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.mails
         SET state = 'sent', sent_at = $2, text_body = '', html_body = '', last_error = NULL WHERE id = $1",
        id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Records a failed attempt; without `retry_at` the mail is given up.
pub async fn mark_failed(
    db: impl PgExecutor<'_>,
    id: MailId,
    fault: &str,
    retry_at: Option<OffsetDateTime>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.mails
         SET last_error = $2, next_attempt_at = coalesce($3, next_attempt_at),
             state = CASE WHEN $3::timestamptz IS NULL THEN 'failed' ELSE 'pending' END
         WHERE id = $1",
        id.0,
        fault,
        retry_at,
    )
    .execute(db)
    .await?;
    Ok(())
}
