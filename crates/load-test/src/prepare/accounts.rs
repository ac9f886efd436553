//! Accounts: imported where being a student is enough, registered and verified where they enrol by themselves.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clock::Clock;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{AT_A_TIME, Wanted, bar};
use crate::client::{Client, text};
use crate::mails::Mails;
use crate::school::{Account, School};
use crate::wire::address_of;

pub const PASSWORD: &str = "a password for load tests";
/// Of the same password, as an older system would have it; the first sign-in replaces it by an Argon2id hash.
const IMPORTED_HASH: &str =
    "pbkdf2:sha256:1$loadtest$0e1b41202d869e00e3a3bea29b04ac1a210f472540c8c9df3a1dc8d3c7c6f6fa";
/// Lines of a file.
const IMPORTED_AT_A_TIME: usize = 5_000;
const ENROLLED_AT_A_TIME: usize = 500;
/// Hashing passwords is the work here; more at once only wait.
const HASHES_AT_A_TIME: usize = 8;
const PATIENCE: Duration = Duration::from_mins(5);
/// After so many sign-ins they are written down, so that a run that is broken off is not for nothing.
const REMEMBERED_AT_A_TIME: usize = 500;
/// Accounts that enrol have other addresses than those that learn.
pub const ENROLLING_FROM: usize = 1_000_000;

pub async fn make(
    client: &Client,
    teacher: &str,
    admin: &str,
    school: &mut School,
    wanted: Wanted,
    folder: &Path,
) -> Result<()> {
    import(client, teacher, admin, school, wanted.learning).await?;
    school.write(folder)?;
    register(client, school, wanted.enrolling, folder).await?;
    school.write(folder)
}

async fn import(
    client: &Client,
    teacher: &str,
    admin: &str,
    school: &mut School,
    wanted: usize,
) -> Result<()> {
    let known = school.learning.len();
    let run = school.run.clone();
    school.learning.extend((known..wanted).map(|number| Account {
        email: format!("learn-{run}-{number}@load.test"),
        ..Account::default()
    }));
    let missing: Vec<usize> = (0..wanted)
        .filter(|at| !school.learning[*at].is_prepared)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let progress = bar("importing accounts", missing.len())?;
    for part in missing.chunks(IMPORTED_AT_A_TIME) {
        let lines: Vec<String> = part
            .iter()
            .map(|at| format!("{},Load {at},student,{IMPORTED_HASH}", school.learning[*at].email))
            .collect();
        let file = format!("email,full_name,role,password_hash\n{}\n", lines.join("\n"));
        let body = json!({"content": file, "send_invitations": false});
        let operation = text(&client.call("POST", "/users/import", admin, body).await?, "id")?;
        let report = result_of(client, admin, &operation).await?;
        ensure!(report["refused"] == 0, "accounts were refused: {report}");
        for rows in part.chunks(ENROLLED_AT_A_TIME) {
            let emails: Vec<&str> = rows
                .iter()
                .map(|at| school.learning[*at].email.as_str())
                .collect();
            let body = json!({"format": "csv", "content": format!("email\n{}\n", emails.join("\n"))});
            let path = format!("/courses/{}/enrollments/import", school.course);
            let report = client.call("POST", &path, teacher, body).await?;
            ensure!(report["refused"] == 0, "enrolments were refused: {report}");
            rows.iter().for_each(|at| school.learning[*at].is_prepared = true);
            progress.inc(rows.len() as u64);
        }
    }
    progress.finish_and_clear();
    Ok(())
}

async fn result_of(client: &Client, admin: &str, operation: &str) -> Result<Value> {
    let (path, began) = (format!("/operations/{operation}"), Instant::now());
    loop {
        let state = client.call("GET", &path, admin, Value::Null).await?;
        match state["state"].as_str() {
            Some("succeeded") => break,
            Some("running") => {}
            _ => anyhow::bail!("the import failed: {state}"),
        }
        ensure!(began.elapsed() < PATIENCE, "the import takes too long: {state}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client
        .call("GET", &format!("{path}/result"), admin, Value::Null)
        .await
}

/// Registers accounts, and verifies their addresses with the links of their mails.
async fn register(client: &Client, school: &mut School, wanted: usize, folder: &Path) -> Result<()> {
    let known = school.enrolling.len();
    let run = school.run.clone();
    school.enrolling.extend((known..wanted).map(|number| Account {
        email: format!("enrol-{run}-{number}@load.test"),
        ..Account::default()
    }));
    let missing: Vec<usize> = (0..wanted)
        .filter(|at| !school.enrolling[*at].is_prepared)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let progress = bar("registering accounts", missing.len())?;
    let emails: Vec<(usize, String)> = missing
        .iter()
        .map(|at| (*at, school.enrolling[*at].email.clone()))
        .collect();
    let registering = stream::iter(&emails).map(|(at, email)| {
        let (client, progress) = (client.from(address_of(ENROLLING_FROM + at)), &progress);
        async move {
            let body = json!({"email": email, "password": PASSWORD, "full_name": "Load", "locale": "en"});
            client.call("POST", "/auth/register", "", body).await?;
            progress.inc(1);
            Ok::<_, anyhow::Error>(())
        }
    });
    registering
        .buffer_unordered(HASHES_AT_A_TIME)
        .try_collect::<()>()
        .await?;
    progress.finish_and_clear();
    verify(client, &emails, folder).await?;
    missing
        .iter()
        .for_each(|at| school.enrolling[*at].is_prepared = true);
    Ok(())
}

async fn verify(client: &Client, emails: &[(usize, String)], folder: &Path) -> Result<()> {
    let progress = bar("verifying their addresses", emails.len())?;
    let (mut mails, began) = (Mails::new(folder.join("mail")), Instant::now());
    let mut waiting: Vec<&(usize, String)> = emails.iter().collect();
    while !waiting.is_empty() {
        mails.look();
        let (arrived, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, email)| mails.tokens.contains_key(email));
        waiting = rest;
        let verifying = stream::iter(arrived).map(|(at, email)| {
            let (client, progress) = (client.from(address_of(ENROLLING_FROM + at)), &progress);
            let token = mails.tokens[email].clone();
            async move {
                client
                    .call("POST", "/auth/verify-email", "", json!({"token": token}))
                    .await?;
                progress.inc(1);
                Ok::<_, anyhow::Error>(())
            }
        });
        verifying.buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        ensure!(
            began.elapsed() < PATIENCE,
            "{} mails did not come to {}",
            waiting.len(),
            folder.join("mail").display()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    progress.finish_and_clear();
    Ok(())
}

/// Gives each account a token that lives long enough: by its refresh token, or else by its password.
pub async fn sign_in(client: &Client, folder: &Path, school: &mut School, wanted: Wanted) -> Result<()> {
    let now = Clock::system().now().unix_timestamp();
    let needed = |accounts: &[Account], most: usize, from: usize| -> Vec<(usize, usize)> {
        let few = accounts.iter().enumerate().take(most);
        few.filter(|(_, account)| account.expires_at < now + wanted.seconds)
            .map(|(at, _)| (at, from + at))
            .collect()
    };
    for (is_learning, all) in [
        (true, needed(&school.learning, wanted.learning, 0)),
        (false, needed(&school.enrolling, wanted.enrolling, ENROLLING_FROM)),
    ] {
        if all.is_empty() {
            continue;
        }
        let progress = bar("signing in", all.len())?;
        for part in all.chunks(REMEMBERED_AT_A_TIME) {
            let accounts = if is_learning {
                &school.learning
            } else {
                &school.enrolling
            };
            let signing_in = stream::iter(part).map(|(at, number)| {
                let (account, progress) = (&accounts[*at], &progress);
                let client = client.from(address_of(*number));
                async move {
                    let session = session(&client, account).await?;
                    progress.inc(1);
                    Ok::<_, anyhow::Error>((*at, session))
                }
            });
            let sessions: Vec<(usize, Value)> = signing_in
                .buffer_unordered(HASHES_AT_A_TIME)
                .try_collect()
                .await?;
            let accounts = if is_learning {
                &mut school.learning
            } else {
                &mut school.enrolling
            };
            for (at, session) in sessions {
                let lives = session["expires_in"].as_i64().context("no expires_in")?;
                accounts[at].access_token = text(&session, "access_token")?;
                accounts[at].refresh_token = text(&session, "refresh_token")?;
                accounts[at].expires_at = Clock::system().now().unix_timestamp() + lives;
            }
            school.write(folder)?;
        }
        progress.finish_and_clear();
    }
    Ok(())
}

async fn session(client: &Client, account: &Account) -> Result<Value> {
    if !account.refresh_token.is_empty() {
        let body = json!({"refresh_token": account.refresh_token});
        let (status, bytes) = client.send("POST", "/auth/refresh", "", Some(&body)).await?;
        if status == 200 {
            return Ok(serde_json::from_slice(&bytes)?);
        }
    }
    super::sign_in(client, &account.email, PASSWORD).await
}
