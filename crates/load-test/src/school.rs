//! What the load works with, kept between runs in `.dev/load/school.json`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Courses, people and an exam, all made through the public API.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct School {
    /// Tells the accounts of this school from those of an earlier one.
    pub run: String,
    /// Published courses, for browsing and enrolling.
    pub courses: Vec<String>,
    /// The course that everybody who learns is in.
    pub course: String,
    pub videos: Vec<String>,
    pub exam: String,
    /// In the course: they watch, sit the exam, browse and look at their pages.
    pub learning: Vec<Account>,
    /// With a verified address: they enrol in one course after the other.
    pub enrolling: Vec<Account>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    pub email: String,
    pub refresh_token: String,
    pub access_token: String,
    /// Unix seconds.
    pub expires_at: i64,
    /// How many of the school's courses, from the first, this account is in.
    #[serde(default)]
    pub enrolled: AtomicUsize,
    /// Whether this account has what it is for: its place in the course, or its verified address.
    #[serde(default)]
    pub is_prepared: bool,
}

impl School {
    fn file(folder: &Path) -> PathBuf {
        folder.join("load/school.json")
    }

    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::file(folder)).ok()?).ok()
    }

    /// It holds tokens, so that only its owner may read it.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = Self::file(folder);
        fs::create_dir_all(folder.join("load"))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(file.write_all(&serde_json::to_vec(self)?)?)
    }

    /// How many courses the busiest of so many accounts is in.
    pub fn most_enrolled(&self, accounts: usize) -> usize {
        let enrolled = self.enrolling.iter().take(accounts);
        enrolled
            .map(|account| account.enrolled.load(Ordering::Relaxed))
            .max()
            .unwrap_or_default()
    }
}
