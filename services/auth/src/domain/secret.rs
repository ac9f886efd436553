//! Opaque tokens: random texts of which only the hash is stored.

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a secret is for; its prefix lets people and scanners know it when they see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Refresh,
    VerifyEmail,
    ResetPassword,
    ChangeEmail,
    ServiceAccount,
    /// The state of a sign-in with an identity provider.
    OidcState,
    /// What the client keeps of one.
    OidcVerifier,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "rt_",
            Self::VerifyEmail => "ev_",
            Self::ResetPassword => "pr_",
            Self::ChangeEmail => "ce_",
            Self::ServiceAccount => "sa_",
            Self::OidcState => "os_",
            Self::OidcVerifier => "ov_",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the system gives no randomness")]
pub struct NoRandomness;

/// A new secret of 256 random bits.
pub fn random(kind: Kind) -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
}

/// The one successor that a refresh token has: who asks twice gets the same, and it need not be stored to be given again.
pub fn successor(key: &hmac::Key, parent: &str) -> String {
    let tag = hmac::sign(key, parent.as_bytes());
    format!(
        "{}{}",
        Kind::Refresh.prefix(),
        URL_SAFE_NO_PAD.encode(tag.as_ref())
    )
}

/// A secret that follows from another one: it need not be stored to be known again, and tells nothing of it.
pub fn derived(key: &hmac::Key, purpose: &str, secret: &str) -> String {
    let tag = hmac::sign(key, format!("{purpose}:{secret}").as_bytes());
    URL_SAFE_NO_PAD.encode(tag.as_ref())
}

/// What is stored of a secret.
pub fn hash(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_successors_repeat() {
        let (a, b) = (random(Kind::Refresh).unwrap(), random(Kind::Refresh).unwrap());
        assert!(a != b && a.starts_with("rt_") && a.len() == 46);
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        assert_eq!(successor(&key, &a), successor(&key, &a));
        assert_ne!(successor(&key, &a), successor(&key, &b));
        assert_ne!(successor(&key, &a), a);
        assert_eq!(derived(&key, "nonce", &a), derived(&key, "nonce", &a));
        assert_ne!(derived(&key, "nonce", &a), derived(&key, "pkce", &a));
        assert_eq!(derived(&key, "pkce", &a).len(), 43, "what PKCE asks for at least");
    }
}
