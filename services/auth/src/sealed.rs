//! Encryption of what the database holds but must not tell: signing keys, TOTP secrets.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};

/// AES-256-GCM under the installation's key.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("it could not be encrypted")]
    Encrypt,
    #[error("it cannot be decrypted: keys.encryption_key is not the one it was written with")]
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
