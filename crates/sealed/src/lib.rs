//! Encryption of what a database holds but must not tell: signing keys, TOTP secrets, secrets of webhooks.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The key of a setting; `None` when it is not 32 bytes in base64.
pub fn key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// AES-256-GCM under the installation's key.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("it could not be encrypted")]
    Encrypt,
    #[error("it cannot be decrypted: the encryption key is not the one it was written with")]
    Decrypt,
}

impl Sealer {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// nonce || ciphertext; `owner` is authenticated with it, so that it cannot be moved to another row.
    pub fn seal(&self, owner: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &self.key).map_err(|_| SealError::Encrypt)?;
        let mut sealed = plain.to_vec();
        let nonce = cipher
            .seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut sealed)
            .map_err(|_| SealError::Encrypt)?;
        let mut stored = nonce.as_ref().to_vec();
        stored.extend_from_slice(&sealed);
        Ok(stored)
    }

    pub fn open(&self, owner: &str, stored: &[u8]) -> Result<Vec<u8>, SealError> {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &self.key).map_err(|_| SealError::Decrypt)?;
        let (nonce, sealed) = stored.split_at_checked(NONCE_LEN).ok_or(SealError::Decrypt)?;
        let nonce: &[u8; NONCE_LEN] = nonce.try_into().map_err(|_| SealError::Decrypt)?;
        let mut plain = sealed.to_vec();
        let opened = cipher
            .open_in_place(nonce.into(), Aad::from(owner.as_bytes()), &mut plain)
            .map_err(|_| SealError::Decrypt)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_and_key_alone() {
        let sealer = Sealer::new([7; 32]);
        let stored = sealer.seal("one", b"secret").unwrap();
        assert_eq!(sealer.open("one", &stored).unwrap(), b"secret");
        assert!(sealer.open("other", &stored).is_err());
        assert!(Sealer::new([8; 32]).open("one", &stored).is_err());
        assert_ne!(sealer.seal("one", b"secret").unwrap(), stored);
        for place in 0..stored.len() {
            let mut touched = stored.clone();
            touched[place] ^= 1;
            assert!(sealer.open("one", &touched).is_err());
            assert!(sealer.open("one", &stored[..place]).is_err());
        }
    }

    #[test]
    fn a_key_is_32_bytes() {
        assert_eq!(key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), Some([0; 32]));
        for text in ["", "AAAA", "nonsense!"] {
            assert_eq!(key(text), None);
        }
    }
}
