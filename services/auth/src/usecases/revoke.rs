//! Tokens end before they expire: on record, by event, and in Redis for other readers.

use access_token::{Revocation, RevocationKind};
use cache::Key;
use cache::fred::interfaces::KeysInterface;
use cache::fred::types::Expiration;
use contracts::events::v1::TokenRevoked;
use contracts::timestamp;
use event_bus::outbox;
use postgres::WriteTx;
use time::{Duration, OffsetDateTime};
use typed_id::{SessionId, UserId};

use crate::app::Auth;
use crate::storage::revocations;

/// More than the leeway of verifiers.
const SLACK: Duration = Duration::seconds(30);

pub fn of_sessions(ids: &[SessionId], now: OffsetDateTime, ttl: Duration) -> Vec<Revocation> {
    entries(RevocationKind::Session, ids, now, ttl)
}

pub fn of_users(ids: &[UserId], now: OffsetDateTime, ttl: Duration) -> Vec<Revocation> {
    entries(RevocationKind::User, ids, now, ttl)
}

fn entries(
    kind: RevocationKind,
    subjects: &[impl ToString],
    now: OffsetDateTime,
    ttl: Duration,
) -> Vec<Revocation> {
    let expires_at = now + ttl + SLACK;
    subjects
        .iter()
        .map(|id| Revocation {
            kind,
            subject: id.to_string(),
            revoked_at: now,
            expires_at,
        })
        .collect()
}

/// Writes the entries and their events.
pub async fn record(tx: &mut WriteTx, entries: &[Revocation]) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    revocations::put(tx, entries).await?;
    let events: Vec<TokenRevoked> = entries
        .iter()
        .map(|entry| TokenRevoked {
            kind: entry.kind.as_str().to_owned(),
            subject: entry.subject.clone(),
            revoked_at: Some(timestamp(entry.revoked_at)),
            expires_at: Some(timestamp(entry.expires_at)),
        })
        .collect();
    outbox::append_all(tx, &events).await
}

/// After the commit: this process knows at once, and Redis is told as far as it is there.
pub async fn announce(app: &Auth, entries: &[Revocation]) {
    for entry in entries {
        app.revocations.apply(entry.clone());
        let key = match entry.kind {
            RevocationKind::User => match entry.subject.parse() {
                Ok(id) => Key::RevokedUser(id),
                Err(_) => continue,
            },
            RevocationKind::Session | RevocationKind::Token => Key::RevokedSession(entry.subject.clone()),
        };
        let key = app.redis.key(&key);
        let seconds = (entry.expires_at - app.clock.now()).whole_seconds().max(1);
        let mirrored = app.redis.run(|client| async move {
            client
                .set::<(), _, _>(key, 1, Some(Expiration::EX(seconds)), None, false)
                .await
        });
        if mirrored.await.is_none() {
            // The rest would fail alike; the record is in PostgreSQL.
            break;
        }
    }
}
