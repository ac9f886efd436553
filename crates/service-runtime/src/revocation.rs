//! Keys and revocations from auth: pulled every 2 s, and pushed by event (docs/adr/0005).

use std::sync::Arc;
use std::time::Duration;

use access_token::{BoxError, Jwk, KeySource, Revocation, RevocationKind, Revocations, Verifier};
use async_trait::async_trait;
use cache::Redis;
use clock::Clock;
use contracts::Timestamp;
use contracts::auth::v1::rpc::{GetJwks, ListRevocations};
use contracts::auth::v1::{GetJwksRequest, ListRevocationsRequest};
use contracts::events::v1::TokenRevoked;
use rpc_client::RpcClient;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::revocation_mirror;

const PERIOD: Duration = Duration::from_secs(2);
/// Commits do not come in the order of their clocks: each answer is asked again for this long.
const OVERLAP_SECONDS: i64 = 15;

/// Keys that were taken out of use are known no longer after this.
const KEY_PERIOD: Duration = Duration::from_mins(1);
/// Between two looks after a key was withdrawn: the instance that was asked may hear of it later than we did.
const SECOND_LOOK: Duration = Duration::from_secs(3);

/// The public keys of auth.
pub struct RemoteKeys {
    auth: RpcClient,
}

impl RemoteKeys {
    pub fn new(auth: RpcClient) -> Self {
        Self { auth }
    }
}

#[async_trait]
impl KeySource for RemoteKeys {
    async fn fetch(&self) -> Result<Vec<Jwk>, BoxError> {
        let answer = self.auth.call::<GetJwks>(GetJwksRequest {}).await?.into_inner();
        let keys = answer.keys.into_iter().map(|key| Jwk {
            kty: key.kty,
            crv: key.crv,
            x: key.x,
            kid: key.kid,
            r#use: key.r#use,
            alg: key.alg,
        });
        Ok(keys.collect())
    }
}

/// Asks auth for new revocations until `shutdown`, and Redis for its mirror of them while auth is away.
pub async fn poll(
    auth: RpcClient,
    mirror: Redis,
    revocations: Revocations,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let mut since: Option<Timestamp> = None;
    let mut away = false;
    while !shutdown.is_cancelled() {
        match auth
            .call_as_service::<ListRevocations>(ListRevocationsRequest { since })
            .await
        {
            Ok(answer) => {
                let answer = answer.into_inner();
                for entry in answer.revocations {
                    let entry = revocation(&entry.kind, entry.subject, entry.revoked_at, entry.expires_at);
                    entry.into_iter().for_each(|entry| revocations.apply(entry));
                }
                since = answer.as_of.map(|at| Timestamp {
                    seconds: at.seconds - OVERLAP_SECONDS,
                    ..at
                });
                away = false;
            }
            Err(status) => {
                if !away {
                    tracing::warn!(
                        error = &status as &dyn std::error::Error,
                        "revocations cannot be asked for; going on with those known and those in Redis"
                    );
                }
                away = true;
                let mirrored = revocation_mirror::read(&mirror, clock.now()).await;
                mirrored.into_iter().for_each(|entry| revocations.apply(entry));
            }
        }
        revocations.purge(clock.now());
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Follows the keys until `shutdown`, at once when one is withdrawn.
pub async fn follow_keys(verifier: Arc<Verifier>, shutdown: CancellationToken) {
    let mut withdrawn = verifier.revocations().withdrawn_keys();
    let mut pause = KEY_PERIOD;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = withdrawn.changed() => pause = SECOND_LOOK,
            () = tokio::time::sleep(pause) => pause = KEY_PERIOD,
        }
        if let Err(fault) = verifier.refresh_keys().await {
            tracing::debug!(error = fault.as_ref(), "the signing keys were not asked for anew");
        }
    }
}

/// What an event tells; `None` when it makes no sense.
pub fn from_event(event: TokenRevoked) -> Option<Revocation> {
    revocation(&event.kind, event.subject, event.revoked_at, event.expires_at)
}

fn revocation(
    kind: &str,
    subject: String,
    revoked_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
) -> Option<Revocation> {
    let moment = |at: Timestamp| {
        let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
    };
    Some(Revocation {
        kind: RevocationKind::parse(kind)?,
        subject,
        revoked_at: moment(revoked_at?)?,
        expires_at: moment(expires_at?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache::RedisSettings;
    use rpc_client::RpcSettings;
    use test_support::{TestRedis, eventually, fixed_clock};

    /// A process that auth is out of reach of from its start learns what was revoked nevertheless.
    #[tokio::test(flavor = "multi_thread")]
    async fn fault_revocations_are_learned_without_auth_and_the_broker() {
        let server = TestRedis::new();
        let settings = RedisSettings {
            url: server.url().into(),
            prefix: server.prefix().into(),
        };
        let redis = Redis::connect(&settings).unwrap();
        let clock = fixed_clock();
        let entry = |subject: &str, lives: i64| Revocation {
            kind: RevocationKind::Session,
            subject: subject.into(),
            revoked_at: clock.now(),
            expires_at: clock.now() + time::Duration::seconds(lives),
        };
        let patience = Duration::from_secs(20);
        eventually(patience, || async { redis.ping().await.then_some(()) }).await;
        let entries = [entry("lives", 900), entry("over", -1)];
        // What Redis does not take within its time is left out, as on a busy machine.
        eventually(patience, || async {
            revocation_mirror::write(&redis, &entries, clock.now()).await;
            let read = revocation_mirror::read(&redis, clock.now()).await;
            (read == [entries[0].clone()]).then_some(())
        })
        .await;
        // Nobody listens there.
        let auth = RpcClient::new("auth", "http://127.0.0.1:1", &RpcSettings::default(), None).unwrap();
        let (revocations, stop) = (Revocations::default(), CancellationToken::new());
        let polling = tokio::spawn(poll(auth, redis, revocations.clone(), clock, stop.clone()));
        eventually(patience, || async { (revocations.len() == 1).then_some(()) }).await;
        stop.cancel();
        polling.await.unwrap();
    }
}
