//! The live revocations in Redis: for a process that reaches neither auth nor the broker. Who writes there can end sessions and
//! begin none, so that it is believed.

use access_token::Revocation;
use cache::fred::interfaces::{KeysInterface, SortedSetsInterface};
use cache::fred::types::{ExpireOptions, Value};
use cache::{Key, Redis};
use time::OffsetDateTime;

/// Entries in one round trip.
const AT_ONCE: usize = 200;

/// Adds entries, as far as Redis is there, and removes those whose tokens have all expired.
pub async fn write(redis: &Redis, entries: &[Revocation], now: OffsetDateTime) {
    let key = redis.key(&Key::Revocations);
    let Some(last) = entries.iter().map(|entry| entry.expires_at).max() else {
        return;
    };
    for batch in entries.chunks(AT_ONCE) {
        let lines: Vec<(f64, String)> = batch
            .iter()
            .map(|entry| (entry.expires_at.unix_timestamp() as f64, entry.to_line()))
            .collect();
        let key = key.clone();
        let written = redis.run(|client| async move {
            let pipeline = client.pipeline();
            let () = pipeline.zadd(&key, None, None, false, false, lines).await?;
            let () = pipeline
                .zremrangebyscore(&key, f64::NEG_INFINITY, now.unix_timestamp() as f64)
                .await?;
            // Entries end by themselves when nobody writes any more.
            let seconds = (last - now).whole_seconds().max(1);
            let () = pipeline.expire(&key, seconds, Some(ExpireOptions::NX)).await?;
            let () = pipeline.expire(&key, seconds, Some(ExpireOptions::GT)).await?;
            pipeline.all::<Value>().await
        });
        if written.await.is_none() {
            return;
        }
    }
}

/// Those that still matter; none when Redis is away too.
pub async fn read(redis: &Redis, now: OffsetDateTime) -> Vec<Revocation> {
    let key = redis.key(&Key::Revocations);
    let lines = redis.run(|client| async move {
        client
            .zrangebyscore::<Vec<String>, _, _, _>(
                key,
                now.unix_timestamp() as f64,
                f64::INFINITY,
                false,
                None,
            )
            .await
    });
    let lines = lines.await.unwrap_or_default();
    lines
        .iter()
        .filter_map(|line| Revocation::from_line(line))
        .collect()
}
