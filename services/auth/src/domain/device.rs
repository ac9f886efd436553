//! Devices that an account was signed in to from: each has tries of its own, so that nobody can lock the owner out by trying.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use typed_id::UserId;

use super::secret::NoRandomness;

const PREFIX: &str = "dt_";
const ID_BYTES: usize = 16;

/// A token that this device shows to be known again. It says nothing and opens nothing.
pub fn token(key: &hmac::Key, user: UserId) -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; ID_BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    let mut all = bytes.to_vec();
    all.extend_from_slice(tag(key, user, &bytes).as_ref());
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(all)))
}

/// The device of a token of ours for this user.
pub fn known(key: &hmac::Key, user: UserId, token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let (id, shown) = bytes.split_at_checked(ID_BYTES)?;
    verify_slices_are_equal(shown, tag(key, user, id).as_ref()).ok()?;
    Some(id.to_vec())
}

fn tag(key: &hmac::Key, user: UserId, id: &[u8]) -> hmac::Tag {
    hmac::sign(key, &[user.0.as_bytes().as_slice(), id].concat())
}

/// Whose tries are counted.
#[derive(Debug, Clone, Copy)]
pub enum Counted<'a> {
    /// Everybody's who is not known.
    Account,
    Device(&'a [u8]),
    /// An address and client that the account was signed in to from before.
    Place {
        ip: &'a str,
        device: &'a str,
    },
}

/// The bucket of an account, which need not exist, and of who tries.
pub fn subject(email_key: &str, counted: Counted<'_>) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&bytes.len().to_be_bytes());
        context.update(bytes);
    };
    part(email_key.as_bytes());
    match counted {
        Counted::Account => {}
        Counted::Device(id) => {
            part(b"device");
            part(id);
        }
        Counted::Place { ip, device } => {
            part(b"place");
            part(ip.as_bytes());
            part(device.as_bytes());
        }
    }
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    #[test]
    fn a_device_is_known_to_its_user_alone() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let (ada, bob) = (
            UserId::new(OffsetDateTime::UNIX_EPOCH),
            UserId::new(OffsetDateTime::UNIX_EPOCH),
        );
        let token = token(&key, ada).unwrap();
        assert!(known(&key, ada, &token).is_some());
        assert_eq!(known(&key, bob, &token), None);
        for at in 3..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(known(&key, ada, &forged).is_none() || forged == token, "{forged}");
        }
    }
}
