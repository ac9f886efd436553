//! Password hashes that other systems made, so that their people sign in with the passwords they have.
//! Only verified, never made: who signs in gets a hash of ours.

use std::num::NonZeroU32;
use std::str::FromStr;

use argon2::password_hash::phc::{self, PasswordHash};
use argon2::{Algorithm, Argon2, Version};
use aws_lc_rs::{constant_time, digest, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

// An imported hash decides how long and in how much memory it is verified: no longer than a second or two.
const MAX_CHARS: usize = 512;
const MAX_ITERATIONS: u32 = 2_000_000;
const MAX_BCRYPT_COST: u32 = 14;
const MAX_MEMORY: u64 = 128 << 20;
const MAX_SCRYPT_BLOCKS: u64 = 1 << 22;
const MAX_ARGON2_KIB: u64 = 1 << 20;
/// bcrypt never looked further.
const BCRYPT_BYTES: usize = 72;
const SCRYPT_BYTES: usize = 64;

/// Whether this is a hash that [`verify`] understands, at a price that is paid at each sign-in.
pub fn is_known(hash: &str) -> bool {
    Foreign::parse(hash).is_some()
}

/// Whether the password is the one that was hashed; nothing when the hash is not known.
pub fn verify(password: &str, hash: &str) -> Option<bool> {
    Foreign::parse(hash).map(|hash| hash.matches(password.as_bytes()))
}

enum Foreign<'a> {
    Bcrypt(&'a str),
    /// Django's way past the 72 bytes: bcrypt of the hexadecimal SHA-256.
    BcryptOfSha256(&'a str),
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        iterations: NonZeroU32,
        salt: &'a str,
        hash: Vec<u8>,
    },
    Scrypt {
        params: scrypt::Params,
        salt: &'a str,
        hash: Vec<u8>,
    },
    Argon2 {
        hasher: Box<Argon2<'static>>,
        salt: phc::Salt,
        hash: phc::Output,
    },
}

impl<'a> Foreign<'a> {
    fn parse(hash: &'a str) -> Option<Self> {
        if hash.len() > MAX_CHARS || !hash.is_ascii() {
            return None;
        }
        let (family, rest) = hash.split_once('$')?;
        match family {
            "" if rest.starts_with("argon2") => argon2(hash),
            "argon2" => argon2(hash.strip_prefix("argon2")?),
            "" | "bcrypt" => bcrypt(hash.strip_prefix("bcrypt$").unwrap_or(hash)).map(Self::Bcrypt),
            "bcrypt_sha256" => bcrypt(rest).map(Self::BcryptOfSha256),
            "pbkdf2_sha256" | "pbkdf2_sha1" => {
                let [iterations, salt, hash] = parts(rest, '$')?;
                let hash = STANDARD.decode(hash).ok()?;
                pbkdf2(family.strip_prefix("pbkdf2_")?, iterations, salt, hash)
            }
            "scrypt" => {
                let [cost, salt, blocks, lanes, hash] = parts(rest, '$')?;
                scrypt([cost, blocks, lanes], salt, STANDARD.decode(hash).ok()?)
            }
            _ => {
                let [salt, hash] = parts(rest, '$')?;
                let hash = hex::decode(hash).ok()?;
                if let Some(method) = family.strip_prefix("pbkdf2:") {
                    let [digest, iterations] = parts(method, ':')?;
                    pbkdf2(digest, iterations, salt, hash)
                } else {
                    scrypt(parts(family.strip_prefix("scrypt:")?, ':')?, salt, hash)
                }
            }
        }
    }

    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt_matches(password, hash),
            Self::BcryptOfSha256(hash) => {
                let digest = digest::digest(&digest::SHA256, password);
                bcrypt_matches(hex::encode(digest).as_bytes(), hash)
            }
            Self::Pbkdf2 {
                algorithm,
                iterations,
                salt,
                hash,
            } => pbkdf2::verify(*algorithm, *iterations, salt.as_bytes(), password, hash).is_ok(),
            Self::Scrypt { params, salt, hash } => {
                let mut made = [0; SCRYPT_BYTES];
                scrypt::scrypt(password, salt.as_bytes(), params, &mut made).is_ok() && equal(&made, hash)
            }
            Self::Argon2 { hasher, salt, hash } => {
                let mut made = vec![0; hash.as_ref().len()];
                hasher.hash_password_into(password, salt, &mut made).is_ok() && equal(&made, hash.as_ref())
            }
        }
    }
}

fn equal(made: &[u8], stored: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(made, stored).is_ok()
}

/// Exactly so many parts.
fn parts<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().ok()
}

/// A number as a program writes it: `u32::from_str` takes a sign too.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

fn bcrypt(hash: &str) -> Option<&str> {
    ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|version| hash.starts_with(version))
        .then_some(())?;
    let cost = bcrypt::HashParts::from_str(hash).ok()?.get_cost();
    (4..=MAX_BCRYPT_COST).contains(&cost).then_some(hash)
}

/// Younger libraries hashed a NUL like any character; for the C libraries a password ended there.
fn bcrypt_matches(password: &[u8], hash: &str) -> bool {
    let verifies = |password: &[u8]| bcrypt::verify(password, hash).unwrap_or(false);
    let seen = password.get(..BCRYPT_BYTES).unwrap_or(password);
    let mut before_nul = seen.splitn(2, |byte| *byte == 0);
    verifies(seen)
        || match (before_nul.next(), before_nul.next()) {
            (Some(start), Some(_)) => verifies(start),
            _ => false,
        }
}

fn pbkdf2<'a>(digest: &str, iterations: &str, salt: &'a str, hash: Vec<u8>) -> Option<Foreign<'a>> {
    let (algorithm, bytes) = match digest {
        "sha1" => (pbkdf2::PBKDF2_HMAC_SHA1, digest::SHA1_OUTPUT_LEN),
        "sha256" => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
        "sha512" => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        _ => return None,
    };
    let iterations = number(iterations).filter(|count| *count <= MAX_ITERATIONS)?;
    (hash.len() == bytes).then_some(Foreign::Pbkdf2 {
        algorithm,
        iterations: NonZeroU32::new(iterations)?,
        salt,
        hash,
    })
}

fn scrypt<'a>([cost, blocks, lanes]: [&str; 3], salt: &'a str, hash: Vec<u8>) -> Option<Foreign<'a>> {
    let (cost, blocks, lanes) = (number(cost)?, number(blocks)?, number(lanes)?);
    let work = u64::from(cost).checked_mul(u64::from(blocks))?;
    let memory = u64::from(cost)
        .checked_add(u64::from(lanes))?
        .checked_mul(u64::from(blocks))?
        .checked_mul(128)?;
    let is_bounded = memory <= MAX_MEMORY && work.checked_mul(u64::from(lanes))? <= MAX_SCRYPT_BLOCKS;
    let is_sound = cost > 1 && cost.is_power_of_two() && hash.len() == SCRYPT_BYTES;
    (is_bounded && is_sound).then_some(())?;
    let log_cost = u8::try_from(cost.ilog2()).ok()?;
    let params = scrypt::Params::new(log_cost, blocks, lanes, SCRYPT_BYTES).ok()?;
    Some(Foreign::Scrypt { params, salt, hash })
}

fn argon2(hash: &str) -> Option<Foreign<'static>> {
    let parsed = PasswordHash::new(hash).ok()?;
    let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).ok()?;
    // Hashes of the first version do not say so.
    let version = parsed
        .version
        .map_or(Ok(Version::V0x10), Version::try_from)
        .ok()?;
    let params = argon2::Params::try_from(&parsed).ok()?;
    let memory = u64::from(params.m_cost());
    let work = memory.checked_mul(u64::from(params.t_cost()))?;
    (memory * 1024 <= MAX_MEMORY && work <= MAX_ARGON2_KIB && params.p_cost() <= 16).then_some(())?;
    Some(Foreign::Argon2 {
        hasher: Box::new(Argon2::new(algorithm, version, params)),
        salt: parsed.salt?,
        hash: parsed.hash?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Made with the libraries of the systems themselves: `düz yazı parola`.
    const FIXTURES: &[&str] = &[
        "pbkdf2_sha256$600$tuz7$knSGJLCl6w5ZZ+4uv5Rfkw514WuPcr0XZZOxy2kkMhQ=",
        "pbkdf2_sha1$600$tuz7$51xWi/MxhY8QRDyF4qO0K3vSdIQ=",
        "pbkdf2:sha256:600$tuz7$92748624b0a5eb0e5967ee2ebf945f930e75e16b8f72bd176593b1cb69243214",
        "pbkdf2:sha1:600$tuz7$e75c568bf331858f10443c85e2a3b42b7bd27484",
        "pbkdf2:sha512:600$tuz7$b21f468540d712ccbfad8cc06c3639f37ba82b725b225267f857652a21593ca15aacbe90e0b187b114863da9ce3c759e5edc9709cabd3e0f22e1183aaf847649",
        "scrypt:1024:8:1$tuz7$014723519271e7ad1cbd6e634f5642153878c541e453ac287dfcbbc0bda00038c2183e8fe11b206883cdce52aaa1095d9b02192150624c9267ef3f4a2689ff4d",
        "scrypt$1024$tuz7$8$2$2vOqD6RL1iAubdaTfhDKsYc6Q0puxaVDKwu0HpzkQ0Pl2KE1lmMwoq3TqUHyAw4wAhiqwE2IB+qK6IKuPPxsIQ==",
        "$2b$04$x8RE6qcZISJnxrdaGPwiQeqJrpGUiuj33nx9qeafrpllEWJa9D.kG",
        "$2y$04$x8RE6qcZISJnxrdaGPwiQeqJrpGUiuj33nx9qeafrpllEWJa9D.kG",
        "$2a$04$x8RE6qcZISJnxrdaGPwiQeqJrpGUiuj33nx9qeafrpllEWJa9D.kG",
        "bcrypt$$2b$04$x8RE6qcZISJnxrdaGPwiQeqJrpGUiuj33nx9qeafrpllEWJa9D.kG",
        "bcrypt_sha256$$2b$04$ExJfR9TaVm5EBRFyGHkrduLFPgL988OtX01RkgwlP.zDk7qq6kIki",
        "$argon2id$v=19$m=256,t=3,p=2$b25pa2liYXl0dHV6$RdH43IGYXBjz+EGXBxVk9yI8Tj4dZYJhPdx4it2lHJw",
        "argon2$argon2id$v=19$m=256,t=3,p=2$b25pa2liYXl0dHV6$RdH43IGYXBjz+EGXBxVk9yI8Tj4dZYJhPdx4it2lHJw",
        "$argon2i$v=19$m=512,t=2,p=1$b25pa2liYXl0dHV6$z6BN1vKs1lK2j07AAvR7IQ",
        "$argon2i$m=512,t=2,p=1$b25pa2liYXl0dHV6$WQtATTlbOWwT1EUoGM+lzB/N/USMQhaJ/HmWtsBlwr8",
    ];

    #[test]
    fn each_family_knows_its_password_alone() {
        for hash in FIXTURES {
            assert!(is_known(hash), "{hash}");
            assert_eq!(verify("düz yazı parola", hash), Some(true), "{hash}");
            assert_eq!(verify("düz yazı parolb", hash), Some(false), "{hash}");
            assert_eq!(verify("", hash), Some(false), "{hash}");
        }
    }

    #[test]
    fn bcrypt_ends_at_nul_and_at_72_bytes() {
        let long = "a".repeat(72);
        let hash = bcrypt::hash(&long, 4).unwrap();
        assert_eq!(verify(&format!("{long}b"), &hash), Some(true));
        assert_eq!(verify(&"a".repeat(71), &hash), Some(false));
        let hash = bcrypt::hash("kısa", 4).unwrap();
        assert_eq!(verify("kısa\0uzun", &hash), Some(true));
        // SHA-256 first: all of it counts.
        let digest = digest::digest(&digest::SHA256, long.as_bytes());
        let hash = format!("bcrypt_sha256${}", bcrypt::hash(hex::encode(digest), 4).unwrap());
        assert_eq!(verify(&long, &hash), Some(true));
        assert_eq!(verify(&format!("{long}b"), &hash), Some(false));
    }

    #[test]
    fn what_would_take_minutes_or_gigabytes_is_not_known() {
        let (sha256, scrypt64) = ("0".repeat(64), "0".repeat(128));
        let argon2 = |params: &str| {
            format!("$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
        };
        let bcrypt = |cost: &str| format!("$2b${cost}$R1lJ2gkNaoPGdafE.H.16.1MKHPvmKwryeulRe225LKProWYwt9Oi");
        for (hash, known) in [
            (format!("pbkdf2:sha256:2000000$salt${sha256}"), true),
            (format!("pbkdf2:sha256:2000001$salt${sha256}"), false),
            (format!("pbkdf2:sha256:0$salt${sha256}"), false),
            (format!("pbkdf2:sha256:+1$salt${sha256}"), false),
            (format!("pbkdf2:sha1:1000$salt${sha256}"), false),
            (format!("pbkdf2:md5:1000$salt${sha256}"), false),
            ("pbkdf2:sha256:1000$salt$".into(), false),
            (format!("scrypt:32768:8:1$salt${scrypt64}"), true),
            (format!("scrypt:65536:8:8$salt${scrypt64}"), true),
            (format!("scrypt:131072:8:1$salt${scrypt64}"), false),
            (format!("scrypt:65536:8:16$salt${scrypt64}"), false),
            (format!("scrypt:2:8:4000000$salt${scrypt64}"), false),
            (format!("scrypt:32767:8:1$salt${scrypt64}"), false),
            (
                format!("scrypt:4294967295:4294967295:4294967295$salt${scrypt64}"),
                false,
            ),
            (argon2("m=131072,t=3,p=4"), true),
            (argon2("m=131073,t=3,p=4"), false),
            (argon2("m=131072,t=9,p=4"), false),
            (argon2("m=131072,t=3,p=17"), false),
            (bcrypt("14"), true),
            (bcrypt("15"), false),
            (bcrypt("03"), false),
            // Not salted, not slow, or not a hash.
            ("md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3".into(), false),
            ("plain$$secret".into(), false),
            ("!".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_known(&hash), known, "{hash}");
            if !known {
                assert_eq!(verify("secret", &hash), None, "{hash}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(
            family in "(\\$2b|bcrypt\\$|bcrypt_sha256\\$|argon2\\$|\\$argon2id|pbkdf2_sha256|scrypt|pbkdf2:sha1|scrypt:)?",
            rest in "[$:a-z0-9=,./+é]{0,80}",
        ) {
            let hash = format!("{family}{rest}");
            prop_assert!(!is_known(&hash) || hash.len() > 40, "{hash}");
        }
    }

    /// Published hashes, where they are at hand; skipped where they are not.
    #[test]
    fn published_hashes_verify() {
        #[expect(clippy::disallowed_methods, reason = "where the data of others is")]
        let shared = std::env::var("SC_SHARED_DATA").unwrap_or_else(|_| "../shared/data".into());
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(shared)
            .join("6-password-hashes/password_hashes.json");
        let Ok(bytes) = std::fs::read(&file) else {
            eprintln!("skipped: {} is not there", file.display());
            return;
        };
        let all: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
        let mut known = 0;
        for entry in &all {
            let hash = entry["hash"].as_str().unwrap();
            let password = match &entry["password"]["utf8"] {
                Value::String(text) => text.as_bytes().to_vec(),
                _ => hex::decode(entry["password"]["hex"].as_str().unwrap()).unwrap(),
            };
            let Some(parsed) = Foreign::parse(hash) else {
                continue;
            };
            known += 1;
            assert_eq!(parsed.matches(&password), entry["expect"] == "valid", "{entry}");
            // In front: bcrypt does not see the end of long ones.
            let wrong = [b"x", password.as_slice()].concat();
            assert!(!parsed.matches(&wrong), "{entry}");
        }
        eprintln!("{known} of {} published hashes are of a known family", all.len());
        for entry in &all {
            let ours = match entry["handler"].as_str().unwrap() {
                "bcrypt"
                | "argon2"
                | "django_argon2"
                | "django_bcrypt"
                | "django_bcrypt_sha256"
                | "django_pbkdf2_sha1"
                | "django_pbkdf2_sha256"
                | "django_scrypt" => true,
                "werkzeug" => {
                    let hash = entry["hash"].as_str().unwrap();
                    hash.starts_with("pbkdf2:") || hash.starts_with("scrypt:")
                }
                _ => false,
            };
            assert_eq!(is_known(entry["hash"].as_str().unwrap()), ours, "{entry}");
        }
    }
}
