//! Tokens that stopped being valid before they expire.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use time::OffsetDateTime;

use crate::Claims;

/// What an entry revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// All tokens of a session (`sid`).
    Session,
    /// All tokens of a user (`sub`) issued before the moment of revocation.
    User,
    /// One token (`jti`).
    Token,
}

impl RevocationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Token => "token",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Session, Self::User, Self::Token]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub kind: RevocationKind,
    pub subject: String,
    pub revoked_at: OffsetDateTime,
    /// When the last token concerned has expired.
    pub expires_at: OffsetDateTime,
}

/// The live revocations, shared by all who verify in this process.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    entries: Arc<RwLock<HashMap<(RevocationKind, String), Revocation>>>,
}

impl Revocations {
    /// Takes an entry; of two for the same subject the later one counts.
    pub fn apply(&self, new: Revocation) {
        let mut entries = self.entries.write();
        let known = entries
            .entry((new.kind, new.subject.clone()))
            .or_insert_with(|| new.clone());
        if new.revoked_at > known.revoked_at {
            *known = new;
        }
    }

    pub fn is_revoked(&self, claims: &Claims) -> bool {
        let entries = self.entries.read();
        if entries.is_empty() {
            return false;
        }
        let has = |kind, subject: &str| entries.get(&(kind, subject.to_owned()));
        let issued_us = if claims.iat_us > 0 {
            claims.iat_us
        } else {
            claims.iat * 1_000_000
        };
        let before =
            |entry: &Revocation| i128::from(issued_us) * 1_000 < entry.revoked_at.unix_timestamp_nanos();
        claims
            .sid
            .as_deref()
            .is_some_and(|sid| has(RevocationKind::Session, sid).is_some())
            || has(RevocationKind::Token, &claims.jti).is_some()
            || has(RevocationKind::User, &claims.sub).is_some_and(before)
    }

    /// Forgets entries whose tokens have all expired.
    pub fn purge(&self, now: OffsetDateTime) {
        self.entries.write().retain(|_, entry| entry.expires_at > now);
    }

    pub fn len(&self) -> usize {
        self.entries.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
