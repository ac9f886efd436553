//! Tokens end before they expire: on record, by event, and in Redis for other readers.

use access_token::{Revocation, RevocationKind};
use cache::Key;
use cache::fred::interfaces::KeysInterface;
use cache::fred::types::{Expiration, Value};
use contracts::events::v1::TokenRevoked;
use contracts::timestamp;
use event_bus::outbox;
use postgres::WriteTx;
use service_runtime::revocation_mirror;
use time::{Duration, OffsetDateTime};
use typed_id::{SessionId, UserId};

use crate::app::Auth;
use crate::storage::revocations;

/// More than the leeway of verifiers.
pub const SLACK: Duration = Duration::seconds(30);
/// Keys in one round trip to Redis.
const MIRRORED_AT_ONCE: usize = 200;

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
    entries
        .iter()
        .for_each(|entry| app.revocations.apply(entry.clone()));
    let now = app.clock.now();
    revocation_mirror::write(&app.redis, entries, now).await;
    for batch in entries.chunks(MIRRORED_AT_ONCE) {
        let mirrored = app.redis.run(|client| async move {
            let pipeline = client.pipeline();
            for entry in batch {
                let Some(key) = key_of(entry) else { continue };
                let seconds = (entry.expires_at - now).whole_seconds().max(1);
                let expiration = Some(Expiration::EX(seconds));
                let () = pipeline
                    .set(app.redis.key(&key), 1, expiration, None, false)
                    .await?;
            }
            pipeline.all::<Value>().await
        });
        if mirrored.await.is_none() {
            // The rest would fail alike; the record is in PostgreSQL.
            return;
        }
    }
}

fn key_of(entry: &Revocation) -> Option<Key> {
    match entry.kind {
        RevocationKind::User => entry.subject.parse().ok().map(Key::RevokedUser),
        // Who reads the mirror does not verify signatures.
        RevocationKind::Key => None,
        RevocationKind::Session | RevocationKind::Token => Some(Key::RevokedSession(entry.subject.clone())),
    }
}
