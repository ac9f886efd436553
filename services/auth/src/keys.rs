//! The signing keys: encrypted in the database, shared by all instances, rotated before anybody notices.

use std::sync::Arc;

use access_token::{BoxError, Issuer, Jwk, KeySource, SigningKey, SigningKeyError, UserToken};
use async_trait::async_trait;
use clock::Clock;
use parking_lot::RwLock;
use postgres::{Database, WriteError};
use sealed::{SealError, Sealer};
use time::Duration;

use crate::storage::keys::{self, StoredKey};

/// A key signs for this long.
const PERIOD: Duration = Duration::days(30);
/// Published this long before it signs: verifiers ask for an unknown key at most every 10 s.
const LEAD: Duration = Duration::minutes(10);
/// Published this long after it signed last: no token lives longer.
const TAIL: Duration = Duration::hours(2);

#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    #[error("the database could not be used")]
    Database(#[from] sqlx::Error),
    #[error("the database could not be written")]
    Write(#[from] WriteError),
    #[error("a signing key: {0}")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    #[error("there is no signing key yet")]
    Empty,
}

pub struct KeyRing {
    db: Database,
    clock: Clock,
    issuer: String,
    audience: String,
    sealer: Sealer,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    published: Vec<Jwk>,
    signing: Option<Arc<Issuer>>,
}

impl KeyRing {
    pub fn new(db: Database, clock: Clock, issuer: &str, audience: &str, sealer: Sealer) -> Self {
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Self {
            db,
            clock,
            issuer,
            audience,
            sealer,
            state: RwLock::default(),
        }
    }

    /// Takes over what the database has, and makes the next key when its time has come.
    pub async fn refresh(&self) -> Result<(), KeyRingError> {
        let now = self.clock.now();
        let mut live = keys::live(self.db.primary(), now).await?;
        let last = live.last().map(|key| key.retires_at - TAIL);
        if last.is_none_or(|ends| ends - LEAD <= now) {
            self.make_next().await?;
            live = keys::live(self.db.primary(), now).await?;
        }
        // Again: the first key signs from the moment it was made.
        let now = self.clock.now();
        let mut published = Vec::new();
        let mut signing = None;
        for stored in &live {
            let key =
                SigningKey::from_pkcs8(&stored.kid, &self.sealer.open(&stored.kid, &stored.private_key)?)?;
            published.push(key.public_jwk());
            if stored.signs_from <= now {
                signing = Some(Arc::new(Issuer::new(key, &self.issuer, &self.audience)));
            }
        }
        *self.state.write() = State { published, signing };
        Ok(())
    }

    pub fn published(&self) -> Vec<Jwk> {
        self.state.read().published.clone()
    }

    pub fn issue_user(&self, token: &UserToken<'_>) -> Result<String, KeyRingError> {
        Ok(self.issuer()?.issue_user(token)?)
    }

    /// A token with which the service calls one other.
    pub fn issue_service(&self, name: &str, called: &str, ttl: Duration) -> Result<String, KeyRingError> {
        Ok(self
            .issuer()?
            .issue_service(name, called, self.clock.now(), ttl)?)
    }

    fn issuer(&self) -> Result<Arc<Issuer>, KeyRingError> {
        self.state.read().signing.clone().ok_or(KeyRingError::Empty)
    }

    /// A key that signs from now on; it is of use once it is stored.
    pub fn make(&self) -> Result<StoredKey, KeyRingError> {
        let now = self.clock.now();
        let kid = format!(
            "{}-{}",
            now.date(),
            &typed_id::new_uuid(now).simple().to_string()[20..]
        );
        let key = SigningKey::generate(&kid)?;
        let private_key = self.sealer.seal(&kid, key.to_pkcs8())?;
        Ok(StoredKey {
            kid,
            private_key,
            signs_from: now,
            retires_at: now + PERIOD + TAIL,
        })
    }

    async fn make_next(&self) -> Result<(), KeyRingError> {
        let now = self.clock.now();
        let made = self.make()?;
        self.db
            .write(move |mut tx| async move {
                keys::lock(&mut tx).await?;
                let live = keys::live(&mut *tx, now).await?;
                // Another instance may have been quicker.
                let last = live.last().map(|key| key.retires_at - TAIL);
                if last.is_some_and(|ends| ends - LEAD > now) {
                    return tx.rollback(()).await;
                }
                let signs_from = last.map_or(now, |ends| ends.max(now));
                let stored = StoredKey {
                    signs_from,
                    retires_at: signs_from + PERIOD + TAIL,
                    ..made
                };
                keys::insert(&mut tx, &stored, now).await?;
                tx.commit(()).await
            })
            .await?;
        Ok(())
    }
}

#[async_trait]
impl KeySource for KeyRing {
    /// As they are in the database: another instance may have taken one out of use.
    async fn fetch(&self) -> Result<Vec<Jwk>, BoxError> {
        self.refresh().await?;
        Ok(self.published())
    }
}
