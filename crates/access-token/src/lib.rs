//! Access tokens (RFC 9068, EdDSA): claims, issue, verify, key cache, revocations, permissions.

mod caller;
mod claims;
mod issue;
mod keys;
pub mod permissions;
mod revocations;
mod verify;

pub use caller::{Caller, Granted, User};
pub use claims::{Claims, TokenKind};
pub use issue::{Issuer, SigningKey, SigningKeyError, UserToken};
pub use keys::{BoxError, Jwk, KeySource};
pub use revocations::{Revocation, RevocationKind, Revocations};
pub use verify::Verifier;
