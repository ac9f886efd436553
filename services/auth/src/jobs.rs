//! Scheduled work of this service.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use service_runtime::{Job, revocation_mirror};
use time::Duration;
use tokio_util::sync::CancellationToken;

use crate::app::Auth;
use crate::storage::{
    audit, keys, oidc_sign_ins, one_time_tokens, operations, refresh_tokens, revocations, sessions,
    sign_in_tries,
};

const KEY_PERIOD: StdDuration = StdDuration::from_mins(1);
const REVOCATION_PERIOD: StdDuration = StdDuration::from_secs(2);
/// Sessions that are over stay this long, for who wonders about them.
const SESSION_RETENTION: Duration = Duration::days(30);

/// Used refresh tokens stay this long, so that their reuse is noticed.
const CHAIN_RETENTION: Duration = Duration::days(7);

/// Follows the signing keys and makes the next one in time.
pub async fn keep_keys(app: Arc<Auth>, shutdown: CancellationToken) {
    while pause(&shutdown, KEY_PERIOD).await {
        if let Err(fault) = app.keys.refresh().await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "signing keys were not refreshed"
            );
        }
    }
}

/// Follows what other instances of this service revoke.
pub async fn follow_revocations(app: Arc<Auth>, shutdown: CancellationToken) {
    let mut since = None;
    loop {
        let now = app.clock.now();
        let read = async {
            let as_of = revocations::clock(app.db.primary()).await?;
            Ok::<_, sqlx::Error>((revocations::since(app.db.primary(), since, now).await?, as_of))
        };
        if let Ok((entries, as_of)) = read.await {
            // Again for Redis, which may have been away when they were made.
            revocation_mirror::write(&app.redis, &entries, now).await;
            entries.into_iter().for_each(|entry| app.revocations.apply(entry));
            // Commits do not come in the order of their clocks.
            since = Some(as_of - Duration::seconds(15));
        }
        app.revocations.purge(now);
        if !pause(&shutdown, REVOCATION_PERIOD).await {
            return;
        }
    }
}

/// C-AUTH-16, C-AUTH-17: removes what has expired, every night.
pub fn clean(app: &Arc<Auth>) -> anyhow::Result<Job> {
    let app = Arc::clone(app);
    Ok(Job::new("clean", "30 3 * * *", move |_| {
        let app = Arc::clone(&app);
        async move { Ok(remove_expired(&app).await?) }
    })?)
}

/// Removes what has expired, and says how much it was.
pub async fn remove_expired(app: &Auth) -> Result<String, sqlx::Error> {
    let (db, now) = (app.db.primary(), app.clock.now());
    let sessions = sessions::purge(db, now - SESSION_RETENTION).await?;
    let links = refresh_tokens::purge(db, now - CHAIN_RETENTION).await?;
    let secrets = one_time_tokens::purge(db, now - Duration::days(7)).await?;
    let revocations = revocations::purge(db, now).await?;
    let keys = keys::purge(db, now - Duration::days(7)).await?;
    let operations = operations::purge(db, now - Duration::days(7)).await?;
    let tries = sign_in_tries::purge(db, now - Duration::days(1)).await?;
    let sign_ins = oidc_sign_ins::purge(db, now).await?;
    audit::keep_log(&app.db).await?;
    Ok(format!(
        "removed {sessions} sessions, {links} refresh tokens, {secrets} one-time tokens, {revocations} revocations, {keys} keys, \
         {tries} counts of tries, {operations} operations, {sign_ins} sign-ins that were begun"
    ))
}

/// False when the process stops.
async fn pause(shutdown: &CancellationToken, period: StdDuration) -> bool {
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = tokio::time::sleep(period) => true,
    }
}
