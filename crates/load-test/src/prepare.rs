//! Makes the school that the load works with, through the public API alone, or takes the one that is there.

mod accounts;
mod courses;

use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::{Client, text};
use crate::school::School;

pub use accounts::{ENROLLING_FROM, PASSWORD};

/// Single calls at a time.
const AT_A_TIME: usize = 16;

/// How large a school is needed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub learning: usize,
    pub enrolling: usize,
    pub courses: usize,
    /// Enrolments that each account must still be able to make; more courses are made for them.
    pub places: usize,
    /// Access tokens live this long at least.
    pub seconds: i64,
}

/// Who prepares: a teacher and an admin, as `email:password`.
#[derive(Debug, Clone, clap::Args)]
pub struct Staff {
    /// Makes courses and the exam.
    #[arg(long, global = true, default_value = "teacher@demo.test:demo-demo-demo")]
    teacher: String,
    /// Imports accounts.
    #[arg(long, global = true, default_value = "admin@demo.test:demo-demo-demo")]
    admin: String,
}

pub async fn prepare(client: &Client, folder: &Path, staff: &Staff, wanted: Wanted) -> Result<School> {
    let mut school = match School::read(folder) {
        Some(known) if courses::is_there(client, &known).await => known,
        _ => School::default(),
    };
    let teacher = token_of(client, &staff.teacher).await?;
    courses::make(client, &teacher, &mut school, wanted).await?;
    school.write(folder)?;
    let admin = token_of(client, &staff.admin).await?;
    accounts::make(client, &teacher, &admin, &mut school, wanted, folder).await?;
    accounts::sign_in(client, folder, &mut school, wanted).await?;
    school.write(folder)?;
    // Those of a larger run before this one are not signed in.
    school.learning.truncate(wanted.learning);
    school.enrolling.truncate(wanted.enrolling);
    Ok(school)
}

pub async fn sign_in(client: &Client, email: &str, password: &str) -> Result<Value> {
    let body = json!({"email": email, "password": password});
    client.call("POST", "/auth/login", "", body).await
}

async fn token_of(client: &Client, account: &str) -> Result<String> {
    let (email, password) = account.split_once(':').context("an account is email:password")?;
    text(&sign_in(client, email, password).await?, "access_token")
}

pub fn bar(what: &'static str, length: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg:28} {wide_bar} {pos}/{len} {eta}")?;
    Ok(ProgressBar::new(length as u64)
        .with_style(style)
        .with_message(what))
}
