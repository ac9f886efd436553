//! Time-based codes (RFC 6238) and recovery codes.

use aws_lc_rs::rand;
use time::OffsetDateTime;
use totp_rs::{Algorithm, Builder, Secret, Totp};

use super::secret::{self, NoRandomness};

const ISSUER: &str = "Student Coaching";
const SECRET_BYTES: usize = 20;
const RECOVERY_CODES: usize = 10;
/// Five bits each. With hyphens a code fits the field that it is typed into.
const RECOVERY_LETTERS: usize = 24;
/// No vowels and no look-alikes: nothing to misread, and no words.
const LETTERS: &[u8; 32] = b"23456789bcdfghjkmnpqrstvwxyzBCDF";

#[derive(Debug, thiserror::Error)]
#[error("the secret of a second factor is not usable: {0}")]
pub struct Unusable(String);

/// A new secret.
pub fn new_secret() -> Result<[u8; SECRET_BYTES], NoRandomness> {
    let mut bytes = [0; SECRET_BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// In base32, and as a link for the authenticator app.
pub fn enrolment(secret: &[u8], email: &str) -> Result<(String, String), Unusable> {
    let totp = of(secret, email)?;
    let link = totp.to_url().map_err(|fault| Unusable(fault.to_string()))?;
    Ok((totp.secret().to_base32(), link))
}

/// The step whose code it is: this one, the last or the next, as clocks differ.
pub fn step_of(secret: &[u8], code: &str, now: OffsetDateTime) -> Result<Option<i64>, Unusable> {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let step = of(secret, "")?.check(code.trim(), seconds);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

fn of(secret: &[u8], email: &str) -> Result<Totp, Unusable> {
    // What authenticator apps take everywhere.
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(Secret::new(secret.into()))
        .with_account_name(email.replace(':', "_"))
        .with_issuer(Some(ISSUER))
        .build()
        .map_err(|fault| Unusable(fault.to_string()))
}

/// New recovery codes of 120 random bits: more than can be tried out even on their plain hashes.
pub fn recovery_codes() -> Result<Vec<String>, NoRandomness> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let mut bytes = [0_u8; RECOVERY_LETTERS];
            rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
            let letters: Vec<char> = bytes
                .iter()
                .filter_map(|byte| {
                    LETTERS
                        .get(usize::from(byte % 32))
                        .map(|letter| char::from(*letter))
                })
                .collect();
            Ok(letters
                .chunks(4)
                .map(String::from_iter)
                .collect::<Vec<_>>()
                .join("-"))
        })
        .collect()
}

/// What is stored of a recovery code; hyphens and blanks do not matter.
pub fn recovery_hash(code: &str) -> Vec<u8> {
    let bare: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    secret::hash(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let at = |moved: i64| OffsetDateTime::from_unix_timestamp(seconds + moved).unwrap();
            let step = Some(seconds / 30);
            assert_eq!(step_of(secret, code, at(0)).unwrap(), step);
            assert_eq!(step_of(secret, code, at(30)).unwrap(), step, "a step late");
            assert_eq!(step_of(secret, code, at(90)).unwrap(), None, "three steps late");
            assert_eq!(step_of(secret, "000000", at(0)).unwrap(), None);
        }
        assert_eq!(
            step_of(secret, "28708", OffsetDateTime::from_unix_timestamp(59).unwrap()).unwrap(),
            None
        );
    }

    #[test]
    fn recovery_codes_differ_and_may_be_typed_loosely() {
        let codes = recovery_codes().unwrap();
        assert_eq!(codes.iter().collect::<std::collections::HashSet<_>>().len(), 10);
        for code in &codes {
            let letters = code.chars().filter(char::is_ascii_alphanumeric).count();
            assert!(letters * 5 >= 112 && code.len() <= 32, "{code}");
        }
        let typed = codes[0].replace('-', " ");
        assert_eq!(recovery_hash(&codes[0]), recovery_hash(&typed));
        assert_ne!(recovery_hash(&codes[0]), recovery_hash(&codes[1]));
    }

    #[test]
    fn an_app_can_read_the_link() {
        let (base32, link) = enrolment(&new_secret().unwrap(), "ada@example.edu").unwrap();
        assert!(
            link.starts_with("otpauth://totp/") && link.contains(&base32),
            "{link}"
        );
    }
}
