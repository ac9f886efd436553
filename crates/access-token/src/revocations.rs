//! Tokens that stopped being valid before they expire.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{Claims, User};

/// What an entry revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// All tokens of a session (`sid`).
    Session,
    /// All tokens of a user (`sub`) issued before the moment of revocation.
    User,
    /// One token (`jti`).
    Token,
    /// All tokens that a key has signed (`kid`).
    Key,
}

impl RevocationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Token => "token",
            Self::Key => "key",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Session, Self::User, Self::Token, Self::Key]
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

impl Revocation {
    /// As one line, for a mirror of the record.
    pub fn to_line(&self) -> String {
        let micros = self.revoked_at.unix_timestamp_nanos() / 1_000;
        let expires = self.expires_at.unix_timestamp();
        format!("{} {} {micros} {expires}", self.kind.as_str(), self.subject)
    }

    /// What such a line says; `None` when it makes no sense.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let kind = RevocationKind::parse(parts.next()?)?;
        let subject = parts.next().filter(|subject| !subject.is_empty())?.to_owned();
        let micros: i64 = parts.next()?.parse().ok()?;
        let expires: i64 = parts.next()?.parse().ok()?;
        let revoked_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?;
        parts.next().is_none().then_some(Self {
            kind,
            subject,
            revoked_at,
            expires_at: OffsetDateTime::from_unix_timestamp(expires).ok()?,
        })
    }
}

/// By kind and subject.
type Entries = HashMap<RevocationKind, HashMap<String, Revocation>>;

/// The live revocations, shared by all who verify in this process.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    entries: Arc<RwLock<Entries>>,
    withdrawn_keys: Arc<watch::Sender<usize>>,
}

impl Revocations {
    /// Takes an entry; of two for the same subject the later one counts.
    pub fn apply(&self, new: Revocation) {
        let is_key = new.kind == RevocationKind::Key;
        let mut entries = self.entries.write();
        let of_kind = entries.entry(new.kind).or_default();
        let before = of_kind.len();
        let known = of_kind.entry(new.subject.clone()).or_insert_with(|| new.clone());
        if new.revoked_at > known.revoked_at {
            *known = new;
        }
        if is_key && of_kind.len() > before {
            self.withdrawn_keys.send_modify(|count| *count += 1);
        }
    }

    /// Changes whenever a key is withdrawn that was good before.
    pub fn withdrawn_keys(&self) -> watch::Receiver<usize> {
        self.withdrawn_keys.subscribe()
    }

    pub fn is_revoked(&self, claims: &Claims, key_id: &str) -> bool {
        let issued = i128::from(claims.issued_us()) * 1_000;
        let users = [Some(claims.sub.as_str()), claims.act.as_deref()];
        self.concern(claims.sid.as_deref(), &claims.jti, key_id, users, issued)
    }

    /// As [`Revocations::is_revoked`], for a user who was let in and stays, such as with an open socket.
    pub fn concern_user(&self, user: &User) -> bool {
        if self.is_empty() {
            return false;
        }
        let (session, id) = (user.session_id.to_string(), user.id.to_string());
        let impersonator = user.impersonator.map(|id| id.to_string());
        self.concern(
            Some(&session),
            &user.token_id,
            &user.key_id,
            [Some(&id), impersonator.as_deref()],
            user.issued_at.unix_timestamp_nanos(),
        )
    }

    /// `users`: whose token it is, and who acts for them: it ends with either.
    fn concern(
        &self,
        session: Option<&str>,
        token: &str,
        key: &str,
        users: [Option<&str>; 2],
        issued_nanos: i128,
    ) -> bool {
        let entries = self.entries.read();
        if entries.is_empty() {
            return false;
        }
        let has = |kind, subject: &str| entries.get(&kind)?.get(subject);
        session.is_some_and(|session| has(RevocationKind::Session, session).is_some())
            || has(RevocationKind::Token, token).is_some()
            || has(RevocationKind::Key, key).is_some()
            || users.into_iter().flatten().any(|user| {
                has(RevocationKind::User, user)
                    .is_some_and(|entry| issued_nanos < entry.revoked_at.unix_timestamp_nanos())
            })
    }

    /// Forgets entries whose tokens have all expired.
    pub fn purge(&self, now: OffsetDateTime) {
        self.entries.write().retain(|_, of_kind| {
            of_kind.retain(|_, entry| entry.expires_at > now);
            !of_kind.is_empty()
        });
    }

    pub fn len(&self) -> usize {
        self.entries.read().values().map(HashMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_says_what_was_written(micros in 0..4_000_000_000_000_000_i64, seconds in 0..4_000_000_000_i64, kind in 0..3_usize) {
            let entry = Revocation {
                kind: [RevocationKind::Session, RevocationKind::User, RevocationKind::Token][kind],
                subject: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10".into(),
                revoked_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap(),
                expires_at: OffsetDateTime::from_unix_timestamp(seconds).unwrap(),
            };
            prop_assert_eq!(Revocation::from_line(&entry.to_line()), Some(entry));
        }

        #[test]
        fn no_line_makes_it_panic(line in "(session|user)? ?\\PC{0,40}") {
            let _ = Revocation::from_line(&line);
        }
    }
}
