//! Hashing, in a bounded pool: a flood of sign-ins waits or is refused, and never stalls what else the process does.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use problem::{Problem, codes};
use tokio::sync::Semaphore;

use crate::config::PasswordSettings;
use crate::domain::foreign_hash;
use crate::domain::password::normalised;

/// OWASP's first choice for Argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

#[derive(Clone)]
pub struct Passwords {
    /// Hashes at a time.
    working: Arc<Semaphore>,
    /// Those and who waits for one.
    places: Arc<Semaphore>,
    /// Verified when there is no account, so that its absence takes as long.
    dummy: Arc<str>,
}

/// A verified password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub matches: bool,
    /// The hash was made with other parameters than today's.
    pub outdated: bool,
}

impl Passwords {
    pub fn new(settings: &PasswordSettings) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let parallel = if settings.parallel == 0 {
            cores
        } else {
            settings.parallel
        };
        Ok(Self {
            working: Arc::new(Semaphore::new(parallel)),
            places: Arc::new(Semaphore::new(parallel + settings.queue)),
            dummy: hash_now("no account has this password")
                .map_err(|fault| anyhow::anyhow!(fault))?
                .into(),
        })
    }

    pub async fn hash(&self, password: &str) -> Result<String, Problem> {
        let password = normalised(password);
        self.work(move || hash_now(&password))
            .await?
            .map_err(Problem::internal)
    }

    /// Verifies against a stored hash, or against nothing in the same time.
    pub async fn verify(&self, password: &str, hash: Option<String>) -> Result<Verified, Problem> {
        let typed = password.to_owned();
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.to_string());
        let verified = self.work(move || verify_now(&typed, &hash)).await?;
        Ok(Verified {
            matches: verified.matches && exists,
            ..verified
        })
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || {
            metrics::counter!("queue_full_total", "queue" => "passwords").increment(1);
            Problem::new(&codes::OVERLOADED).with_retry_after(Duration::from_secs(2))
        };
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let permit = Arc::clone(&self.working)
            .acquire_owned()
            .await
            .map_err(Problem::internal)?;
        // The permit goes along: a caller that leaves does not make room for one hash more than there are cores.
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        task.await.map_err(Problem::internal)
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    Ok(Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(MEMORY_KIB, PASSES, LANES, None)?,
    ))
}

fn hash_now(password: &str) -> Result<String, String> {
    let hasher = argon2().map_err(|fault| fault.to_string())?;
    hasher
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|fault| fault.to_string())
}

fn verify_now(typed: &str, hash: &str) -> Verified {
    let outdated = !is_current(hash);
    let password = normalised(typed);
    let verifies = |password: &str| foreign_hash::verify(password, hash) == Some(true);
    // Hashed here, it was normalised before; other systems hashed what was typed.
    let matches = verifies(&password) || (outdated && password != typed && verifies(typed));
    Verified { matches, outdated }
}

/// Whether the hash was made here, with today's parameters.
fn is_current(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| {
        parsed.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && Params::try_from(&parsed).is_ok_and(|params| {
                params.m_cost() == MEMORY_KIB && params.t_cost() == PASSES && params.p_cost() == LANES
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_verifies_its_password_alone_and_nobodys_takes_none() {
        let passwords = Passwords::new(&PasswordSettings {
            parallel: 1,
            queue: 8,
        })
        .unwrap();
        let hash = passwords.hash("düz yazı parola").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        // The same letters, composed otherwise.
        let same = passwords
            .verify("du\u{308}z yazı parola", Some(hash.clone()))
            .await
            .unwrap();
        assert_eq!(
            same,
            Verified {
                matches: true,
                outdated: false
            }
        );
        assert!(!passwords.verify("another", Some(hash)).await.unwrap().matches);
        assert!(
            !passwords
                .verify("no account has this password", None)
                .await
                .unwrap()
                .matches
        );
    }

    #[tokio::test]
    async fn a_hash_of_another_system_verifies_as_it_was_typed_there_and_is_outdated() {
        let passwords = Passwords::new(&PasswordSettings {
            parallel: 1,
            queue: 8,
        })
        .unwrap();
        let expected = Verified {
            matches: true,
            outdated: true,
        };
        // Werkzeug's, of `düz yazı parola`, which somebody types decomposed; and of `ﬁnal ödevi`, that NFKC changes.
        for (typed, hash) in [
            (
                "du\u{308}z yazı parola",
                "pbkdf2:sha256:600$tuz7$92748624b0a5eb0e5967ee2ebf945f930e75e16b8f72bd176593b1cb69243214",
            ),
            (
                "\u{fb01}nal ödevi",
                "pbkdf2:sha256:600$tuz7$b415d27ee8feb2f04a922c058a3957fd55c243a53655857cb8bf79f6f0a71dfb",
            ),
        ] {
            let verified = passwords.verify(typed, Some(hash.into())).await.unwrap();
            assert_eq!(verified, expected, "{typed}");
            let another = passwords.verify("another", Some(hash.into())).await.unwrap();
            assert!(!another.matches);
        }
    }

    #[tokio::test]
    async fn a_flood_is_refused_beyond_the_queue() {
        let passwords = Passwords::new(&PasswordSettings {
            parallel: 1,
            queue: 3,
        })
        .unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let passwords = passwords.clone();
            tasks.spawn(async move { passwords.hash("some password").await });
        }
        let outcomes = tasks.join_all().await;
        let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!((4..50).contains(&served), "{served} of 50");
        assert!(
            outcomes
                .into_iter()
                .filter_map(Result::err)
                .all(|p| p.code() == &codes::OVERLOADED)
        );
    }
}
