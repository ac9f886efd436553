//! Verifying tokens: by the gateway and by every service, against auth's keys and the live revocations.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use clock::Clock;
use jsonwebtoken::{Algorithm, Validation};
use moka::sync::Cache;
use problem::{Problem, codes};
use time::OffsetDateTime;

use crate::claims::audience_of_service;
use crate::keys::{BoxError, KeyError, KeySource, Keys};
use crate::{Caller, Claims, Granted, Revocations, TokenKind, User};

/// No token of ours is near this.
const MAX_BYTES: usize = 8 * 1024;
/// Clocks of our machines may differ by this much.
const LEEWAY_SECONDS: i64 = 5;
const CACHED_TOKENS: u64 = 50_000;
/// Roles, and what programs were given.
const CACHED_SCOPES: u64 = 1_000;

/// Verifies tokens. A verified one is remembered by its hash until it expires, as a signature costs about 50 us.
pub struct Verifier {
    keys: Keys,
    revocations: Revocations,
    of_users: Validation,
    /// `None`: service tokens are not for this process.
    of_services: Option<Validation>,
    clock: Clock,
    verified: Cache<[u8; 32], Arc<Verified>>,
    scopes: Cache<String, Granted>,
}

struct Verified {
    key_id: String,
    /// Whom it belongs to and its times: the rest is in the caller, or was looked at once.
    claims: Claims,
    caller: Caller,
}

impl Verifier {
    pub fn new(
        source: Arc<dyn KeySource>,
        revocations: Revocations,
        issuer: &str,
        audience: &str,
        clock: Clock,
    ) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Times are judged below, by the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        // Longer than any token lives, so that entries go when they are of no use.
        let verified = Cache::builder()
            .max_capacity(CACHED_TOKENS)
            .time_to_live(Duration::from_mins(15))
            .build();
        Self {
            keys: Keys::new(source),
            revocations,
            of_users: validation,
            of_services: None,
            clock,
            verified,
            scopes: Cache::new(CACHED_SCOPES),
        }
    }

    /// For a process that others call as services: takes service tokens that are meant for it.
    #[must_use]
    pub fn serving(mut self, audience: &str, service: &str) -> Self {
        let mut validation = self.of_users.clone();
        validation.set_audience(&[audience_of_service(audience, service)]);
        self.of_services = Some(validation);
        self
    }

    /// Asks for the keys anew, so that those that were taken out of use are known no longer. When they cannot be had, all stay.
    pub async fn refresh_keys(&self) -> Result<(), BoxError> {
        self.keys.refresh().await
    }

    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The caller behind a token: `invalid_token` for anything but a live token of ours.
    pub async fn verify(&self, token: &str) -> Result<Caller, Problem> {
        if token.len() > MAX_BYTES {
            return Err(refused("too long"));
        }
        let hash = hash_of(token);
        let verified = if let Some(verified) = self.verified.get(&hash) {
            verified
        } else {
            let verified = Arc::new(self.verify_signature(token).await?);
            self.verified.insert(hash, Arc::clone(&verified));
            verified
        };
        let now = self.clock.now().unix_timestamp();
        if verified.claims.exp <= now - LEEWAY_SECONDS {
            return Err(refused("expired"));
        }
        if verified.claims.nbf > now + LEEWAY_SECONDS {
            return Err(refused("not valid yet"));
        }
        if self.revocations.is_revoked(&verified.claims, &verified.key_id) {
            return Err(refused("revoked"));
        }
        Ok(verified.caller.clone())
    }

    async fn verify_signature(&self, token: &str) -> Result<Verified, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused("unreadable header"))?;
        // The algorithm is ours to say, and a key named by the token itself is no key.
        if header.alg != Algorithm::EdDSA
            || header.jku.is_some()
            || header.jwk.is_some()
            || header.x5u.is_some()
            || header.x5c.is_some()
        {
            return Err(refused("a header that we never write"));
        }
        let kind = header
            .typ
            .as_deref()
            .and_then(TokenKind::from_typ)
            .ok_or_else(|| refused("wrong typ"))?;
        let validation = match kind {
            TokenKind::User => &self.of_users,
            TokenKind::Service => self
                .of_services
                .as_ref()
                .ok_or_else(|| refused("service tokens are not for here"))?,
        };
        let kid = header.kid.ok_or_else(|| refused("no kid"))?;
        let key = self.keys.get(&kid).await.map_err(|fault| match fault {
            KeyError::Unknown => refused("unknown kid"),
            KeyError::Unavailable(fault) => Problem::new(&codes::UNAVAILABLE)
                .with_source(fault)
                .with_retry_after(Duration::from_secs(1)),
        })?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, validation)
            .map_err(|fault| refused("signature or claims").with_source(fault))?
            .claims;
        let granted = self
            .scopes
            .get_with_by_ref(&claims.scope, || granted(&claims.scope));
        let caller =
            caller_of(kind, &claims, &kid, granted).ok_or_else(|| refused("claims of another kind"))?;
        Ok(Verified {
            key_id: kid,
            claims: Claims {
                iss: String::new(),
                aud: String::new(),
                roles: Vec::new(),
                scope: String::new(),
                ..claims
            },
            caller,
        })
    }
}

fn granted(scope: &str) -> Granted {
    let permissions: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
    permissions.into()
}

fn caller_of(kind: TokenKind, claims: &Claims, key_id: &str, granted: Granted) -> Option<Caller> {
    match kind {
        TokenKind::Service => {
            let name = claims
                .sub
                .strip_prefix("service:")
                .filter(|_| claims.sid.is_none())?;
            Some(Caller::Service(name.into()))
        }
        TokenKind::User => Some(Caller::User(Arc::new(User {
            id: claims.sub.parse().ok()?,
            session_id: claims.sid.as_ref()?.parse().ok()?,
            impersonator: claims.act.as_ref().map(|id| id.parse()).transpose().ok()?,
            token_id: claims.jti.clone(),
            key_id: key_id.to_owned(),
            roles: claims.roles.clone(),
            permissions: granted,
            issued_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(claims.issued_us()) * 1_000)
                .ok()?,
            expires_at: OffsetDateTime::from_unix_timestamp(claims.exp).ok()?,
        }))),
    }
}

/// The client learns only that the token is not valid; why goes to the log.
fn refused(why: &'static str) -> Problem {
    Problem::new(&codes::INVALID_TOKEN).with_source(why)
}

fn hash_of(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests;
