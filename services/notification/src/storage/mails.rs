use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};
use typed_id::{EventId, MailId, UserId, least_uuid};
use uuid::Uuid;

use crate::domain::message::{MailKind, Priority, Recipient};
use crate::domain::texts::MailContent;

/// A mail as the queue holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub id: MailId,
    pub user_id: UserId,
    pub kind: String,
    pub topic: String,
    pub address: String,
    pub recipient_name: String,
    pub content: MailContent,
    pub created_at: OffsetDateTime,
    /// This attempt counted.
    pub attempts: i32,
}

/// A mail that is to be queued.
#[derive(Debug, Clone)]
pub struct NewMail {
    pub event_id: EventId,
    pub kind: MailKind,
    pub to: Recipient,
    pub content: MailContent,
    /// Not before.
    pub at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    user_id: Uuid,
    kind: String,
    topic: String,
    address: String,
    recipient_name: String,
    subject: String,
    text_body: String,
    html_body: String,
    created_at: OffsetDateTime,
    attempts: i32,
}

/// Queues mails, each unless there is one for its event, recipient and kind.
pub async fn insert(
    db: impl PgExecutor<'_>,
    mails: &[NewMail],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = mails.iter().map(|_| MailId::new(now).0).collect();
    let users: Vec<Uuid> = mails.iter().map(|mail| mail.to.user_id.0).collect();
    let events: Vec<Uuid> = mails.iter().map(|mail| mail.event_id.0).collect();
    let kinds: Vec<&str> = mails.iter().map(|mail| mail.kind.as_str()).collect();
    let topics: Vec<&str> = mails.iter().map(|mail| mail.kind.topic()).collect();
    let priorities: Vec<i16> = mails.iter().map(|mail| mail.kind.priority().as_i16()).collect();
    let addresses: Vec<&str> = mails.iter().map(|mail| mail.to.address.as_str()).collect();
    let names: Vec<&str> = mails.iter().map(|mail| mail.to.name.as_str()).collect();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.content.subject.as_str()).collect();
    let texts: Vec<&str> = mails.iter().map(|mail| mail.content.text.as_str()).collect();
    let htmls: Vec<&str> = mails.iter().map(|mail| mail.content.html.as_str()).collect();
    let moments: Vec<OffsetDateTime> = mails.iter().map(|mail| mail.at).collect();
    sqlx::query!(
        "INSERT INTO notification.mails
             (id, user_id, event_id, kind, topic, priority, address, recipient_name, subject, text_body, html_body,
              next_attempt_at, created_at)
         SELECT *, $13 FROM unnest(
             $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::smallint[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::text[], $12::timestamptz[])
         ON CONFLICT (event_id, user_id, kind) DO NOTHING",
        &ids,
        &users,
        &events,
        &kinds as &[&str],
        &topics as &[&str],
        &priorities,
        &addresses as &[&str],
        &names as &[&str],
        &subjects as &[&str],
        &texts as &[&str],
        &htmls as &[&str],
        &moments,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes one mail of each user's hour from its budget and tells which places of the input were within the cap. One user stands
/// there once.
pub async fn take_budget(
    db: impl PgExecutor<'_>,
    users: &[Uuid],
    hours: &[OffsetDateTime],
    cap: i32,
) -> Result<Vec<Uuid>, sqlx::Error> {
    // In the order of the ids, so that two announcements do not wait for each other.
    sqlx::query_scalar!(
        "INSERT INTO notification.mail_budgets AS b (user_id, hour, used)
         SELECT user_id, hour, 1 FROM unnest($1::uuid[], $2::timestamptz[]) AS asked (user_id, hour)
         WHERE $3 > 0 ORDER BY user_id
         ON CONFLICT (user_id, hour) DO UPDATE SET used = b.used + 1 WHERE b.used < $3
         RETURNING user_id",
        users,
        hours,
        cap,
    )
    .fetch_all(db)
    .await
}

/// Forgets budgets of hours that are over.
pub async fn purge_budgets(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM notification.mail_budgets WHERE hour < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}

/// Forgets mails that were sent or given up long ago: who was written to, and what about. Their bodies went when they were sent.
pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM notification.mails WHERE id < $1 AND state <> 'pending'",
        // Ids sort by when they were made, and have an index.
        least_uuid(before),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// How many of a claim are chosen by how.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    pub most_urgent: i64,
    pub longest_waiting: i64,
}

/// Takes up to so many due mails. Nobody else gets them before `lease` is over, and after a crash they are due again.
pub async fn claim(
    db: impl PgExecutor<'_>,
    share: Share,
    lease: Duration,
    now: OffsetDateTime,
) -> Result<Vec<Mail>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "WITH longest_waiting AS (
             SELECT id FROM notification.mails WHERE state = 'pending' AND next_attempt_at <= $1
             ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED),
         most_urgent AS (
             SELECT id FROM notification.mails WHERE state = 'pending' AND next_attempt_at <= $1
             ORDER BY priority, next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED)
         UPDATE notification.mails SET attempts = attempts + 1, next_attempt_at = $4
         WHERE id IN (SELECT id FROM longest_waiting UNION SELECT id FROM most_urgent)
         RETURNING id, user_id, kind, topic, address, recipient_name, subject, text_body, html_body, created_at, attempts",
        now,
        share.longest_waiting,
        share.most_urgent,
        now + lease,
    )
    .fetch_all(db)
    .await?;
    let mails = rows.into_iter().map(|row| Mail {
        id: MailId(row.id),
        user_id: UserId(row.user_id),
        kind: row.kind,
        topic: row.topic,
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

/// Records that mails are out, and forgets their texts.
pub async fn mark_sent(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE notification.mails
         SET state = 'sent', sent_at = $2, text_body = '', html_body = '', last_error = NULL WHERE id = ANY ($1)",
        ids,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What becomes of a mail that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    GiveUp,
    Retry(OffsetDateTime),
    /// The attempt does not count: nobody was there to take the mail.
    Again(OffsetDateTime),
}

/// Records a failed attempt.
pub async fn mark_failed(
    db: impl PgExecutor<'_>,
    id: MailId,
    fault: &str,
    next: Next,
) -> Result<(), sqlx::Error> {
    let (retry_at, uncounted) = match next {
        Next::GiveUp => (None, 0),
        Next::Retry(at) => (Some(at), 0),
        Next::Again(at) => (Some(at), 1),
    };
    sqlx::query!(
        "UPDATE notification.mails
         SET last_error = $2, next_attempt_at = coalesce($3, next_attempt_at), attempts = attempts - $4,
             state = CASE WHEN $3::timestamptz IS NULL THEN 'failed' ELSE 'pending' END
         WHERE id = $1 AND state = 'pending'",
        id.0,
        fault,
        retry_at,
        uncounted,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many mails wait, by priority.
pub async fn count_pending(db: impl PgExecutor<'_>) -> Result<Vec<(Priority, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT priority, count(*) AS "count!" FROM notification.mails WHERE state = 'pending' GROUP BY priority"#
    )
    .fetch_all(db)
    .await?;
    let count = |priority: Priority| {
        let row = rows.iter().find(|row| row.priority == priority.as_i16());
        (priority, row.map_or(0, |row| row.count))
    };
    Ok(Priority::ALL.map(count).to_vec())
}
